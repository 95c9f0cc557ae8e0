//! The leases that exist and the keys that hang on them: the replicated part.
//!
//! Two maps, kept in step: a lease knows its keys in order (a revocation deletes them in that order), and
//! a key knows its lease (a put must find the lease to leave). Nothing here depends on time, on hash
//! order or on a setting, so that applying the same entries gives the same state and the same answers.

#[cfg(test)]
mod tests;

use crate::{Error, LeaseId, Ttl};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

/// One lease as every member knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    ttl: Ttl,
    checkpoint: Option<Ttl>,
    keys: BTreeSet<Bytes>,
}

impl Lease {
    /// The effective time to live at the grant.
    pub fn ttl(&self) -> Ttl {
        self.ttl
    }

    /// What was left when the leader last recorded it; `None` means the whole time to live.
    pub fn checkpoint(&self) -> Option<Ttl> {
        self.checkpoint
    }

    /// The attached keys in ascending order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &Bytes> {
        self.keys.iter()
    }
}

/// What a lease's row holds: everything but its keys, which are known from the keys' own rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// The lease.
    pub id: LeaseId,
    /// The effective time to live at the grant.
    pub ttl: Ttl,
    /// What was left when the leader last recorded it; `None` means the whole time to live.
    pub checkpoint: Option<Ttl>,
}

/// All leases and their keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leases {
    leases: BTreeMap<LeaseId, Lease>,
    /// Invariant: `by_key[key] == id` exactly if `leases[id].keys` holds `key`. Never iterated.
    by_key: HashMap<Bytes, LeaseId>,
}

impl Leases {
    /// No leases.
    pub fn new() -> Leases {
        Leases::default()
    }

    /// Adds a lease without keys.
    ///
    /// # Errors
    /// [`Error::Exists`] if the id is in use.
    pub fn grant(&mut self, id: LeaseId, ttl: Ttl) -> Result<(), Error> {
        self.restore(Grant {
            id,
            ttl,
            checkpoint: None,
        })
    }

    /// Adds a lease read back from its row; its keys follow by [`Leases::attach`].
    ///
    /// # Errors
    /// [`Error::Exists`] if the id is in use.
    pub fn restore(&mut self, grant: Grant) -> Result<(), Error> {
        if self.leases.contains_key(&grant.id) {
            return Err(Error::Exists(grant.id));
        }
        let Grant {
            id,
            ttl,
            checkpoint,
        } = grant;
        self.leases.insert(
            id,
            Lease {
                ttl,
                checkpoint,
                keys: BTreeSet::new(),
            },
        );
        Ok(())
    }

    /// Removes a lease and returns the keys that were attached, in ascending order. The caller deletes
    /// them, in this order and in one revision.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such lease.
    pub fn revoke(&mut self, id: LeaseId) -> Result<Vec<Bytes>, Error> {
        let lease = self.leases.remove(&id).ok_or(Error::NotFound(id))?;
        for key in &lease.keys {
            self.by_key.remove(key);
        }
        self.release_memory();
        Ok(lease.keys.into_iter().collect())
    }

    /// Moves `key` to the lease `id`, away from the lease that it had.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such lease; the key then stays where it was.
    pub fn attach(&mut self, key: Bytes, id: LeaseId) -> Result<(), Error> {
        if !self.leases.contains_key(&id) {
            return Err(Error::NotFound(id));
        }
        match self.by_key.insert(key.clone(), id) {
            Some(old) if old == id => return Ok(()),
            Some(old) => self.forget_key(old, &key),
            None => {}
        }
        self.leases
            .get_mut(&id)
            .expect("looked up above")
            .keys
            .insert(key);
        Ok(())
    }

    /// Takes `key` off its lease, which is returned; nothing happens if it has none.
    ///
    /// Costs one comparison while no key has a lease, because every put and delete calls it.
    pub fn detach(&mut self, key: &[u8]) -> Option<LeaseId> {
        if self.by_key.is_empty() {
            return None;
        }
        let id = self.by_key.remove(key)?;
        self.forget_key(id, key);
        self.release_memory();
        Some(id)
    }

    /// Records what is left of a lease; `None` means the whole time to live again.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such lease.
    pub fn checkpoint(&mut self, id: LeaseId, remaining: Option<Ttl>) -> Result<(), Error> {
        let lease = self.leases.get_mut(&id).ok_or(Error::NotFound(id))?;
        lease.checkpoint = remaining;
        Ok(())
    }

    /// The lease with this id.
    pub fn get(&self, id: LeaseId) -> Option<&Lease> {
        self.leases.get(&id)
    }

    /// The lease that `key` is attached to.
    pub fn lease_of(&self, key: &[u8]) -> Option<LeaseId> {
        if self.by_key.is_empty() {
            None
        } else {
            self.by_key.get(key).copied()
        }
    }

    /// How many leases there are.
    pub fn len(&self) -> usize {
        self.leases.len()
    }

    /// Whether there is no lease.
    pub fn is_empty(&self) -> bool {
        self.leases.is_empty()
    }

    /// All leases in ascending order of their ids, negative ones first.
    pub fn iter(&self) -> impl Iterator<Item = (LeaseId, &Lease)> {
        self.leases.iter().map(|(id, lease)| (*id, lease))
    }

    /// The rows of all leases whose id is above `after`, ascending; `None` starts at the first. Take a
    /// bounded number and go on from the last, so that a million leases do not stop whoever applies.
    pub fn grants_after(&self, after: Option<LeaseId>) -> impl Iterator<Item = Grant> {
        let low = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.leases
            .range((low, Bound::Unbounded))
            .map(|(id, lease)| Grant {
                id: *id,
                ttl: lease.ttl,
                checkpoint: lease.checkpoint,
            })
    }

    fn forget_key(&mut self, id: LeaseId, key: &[u8]) {
        let lease = self.leases.get_mut(&id).expect("a key's lease exists");
        assert!(
            lease.keys.remove(key),
            "a key is among the keys of its lease"
        );
    }

    /// The hash map keeps its room when entries go; a burst of sessions must not cost memory for ever.
    fn release_memory(&mut self) {
        if self.by_key.capacity() > 1024 + 8 * self.by_key.len() {
            self.by_key.shrink_to(2 * self.by_key.len());
        }
    }
}
