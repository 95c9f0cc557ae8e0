//! From bytes to a received state of a backend.

use std::sync::Arc;

use ferrod_mvcc::Import;
use ferrod_mvcc::backend::Backend;

use super::{Decoder, Header, Item, Position, Totals};
use crate::Error;

/// Takes a state stream in. Dropped unfinished, nothing is left of it.
#[derive(Debug)]
pub struct Receiver {
    backend: Arc<dyn Backend>,
    decoder: Decoder,
    /// From the header on.
    import: Option<Import>,
}

impl Receiver {
    /// A receiver into `backend` that refuses chunks longer than `chunk_bytes_max`; see [`Decoder::new`].
    pub fn new(backend: Arc<dyn Backend>, chunk_bytes_max: usize) -> Receiver {
        Receiver {
            backend,
            decoder: Decoder::new(chunk_bytes_max),
            import: None,
        }
    }

    /// Takes in what came next. Writes to the disk now and then, so it may take long.
    ///
    /// # Errors
    /// Those of [`Decoder::next_item`], and [`Error::Storage`], also if a state is being received or one of this index is
    /// there already. The receiver is of no use then.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.decoder.push(bytes);
        while let Some(item) = self.decoder.next_item()? {
            match item {
                Item::Header(header) => self.begin(&header)?,
                Item::Rows(rows) => {
                    let import = self.import.as_mut().ok_or(Error::CutOff)?;
                    for row in rows {
                        import.add(row.bucket, row.key, row.value)?;
                    }
                }
                Item::End(_) => {}
            }
        }
        Ok(())
    }

    fn begin(&mut self, header: &Header) -> Result<(), Error> {
        if self.import.is_none() {
            let (index, term) = (header.applied_index, header.applied_term);
            self.import = Some(Import::begin(&*self.backend, index, term)?);
        }
        Ok(())
    }

    /// Which state it is, once that has come.
    pub fn header(&self) -> Option<&Header> {
        self.decoder.header()
    }

    /// How much has come.
    pub fn come(&self) -> Totals {
        self.decoder.come()
    }

    /// Whether everything is there, so that [`Receiver::finish`] may be called.
    pub fn is_complete(&self) -> bool {
        self.decoder.is_complete()
    }

    /// Gets ready for the same state to go on in another stream, and says from where; `None` is from its beginning.
    pub fn restart(&mut self) -> Option<Position> {
        let position = self.decoder.restart();
        if position.is_none() {
            self.import = None;
        }
        position
    }

    /// Verifies the state and makes it durable: from now on it is among the backend's received ones.
    ///
    /// # Errors
    /// [`Error::CutOff`] if not everything has come; [`Error::Storage`]. Nothing is left of the state then.
    pub fn finish(self) -> Result<Header, Error> {
        if !self.decoder.is_complete() {
            return Err(Error::CutOff);
        }
        let header = self.decoder.header().cloned().ok_or(Error::CutOff)?;
        self.import.ok_or(Error::CutOff)?.finish()?;
        Ok(header)
    }
}
