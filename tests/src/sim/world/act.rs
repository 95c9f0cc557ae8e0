//! Clients think, and ask.

use super::{Judged, World};

impl World {
    pub(super) fn think(&mut self, number: usize) -> Judged {
        if self.quiet {
            return Ok(());
        }
        let now = self.now;
        let ids: Vec<u64> = self.hosts.keys().copied().collect();
        let any = ids[self.rng.usize(0..ids.len())];
        let newest = self.truth.timeline.last();
        let client = &mut self.clients[number];
        // Most stay where they are; who wanders finds what sticking to one member hides.
        if client.host.is_none() || self.rng.u8(0..20) == 0 {
            client.host = Some(any);
        }
        client.revision = newest;
        let host = client.host.unwrap_or(any);
        let ask = client.next(now, &mut self.rng);
        self.call(number, host, ask);
        Ok(())
    }
}
