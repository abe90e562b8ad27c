//! A ticket and the key that goes with it.

use bytes::Bytes;

use super::keys::Key;
use super::principal::Principal;

/// A ticket for one service, as we got it: what is in it is the service's.
#[derive(Debug, Clone)]
pub(super) struct Credential {
    pub(super) server: Principal,
    /// `Ticket`, encoded.
    pub(super) ticket: Bytes,
    pub(super) key: Key,
    /// Seconds since 1970.
    pub(super) start: i64,
    pub(super) end: i64,
    /// Until when it can be renewed; None where it cannot.
    pub(super) renew_till: Option<i64>,
}

impl Credential {
    /// Whether a service would take it: it is not about to end on the way there.
    pub(super) fn is_usable(&self, now: i64) -> bool {
        now + 2 < self.end
    }

    /// Whether three quarters of its life are over, so that another one should be asked for.
    pub(super) fn is_old(&self, now: i64) -> bool {
        now >= self.old_at()
    }

    /// When three quarters of its life are over.
    pub(super) fn old_at(&self) -> i64 {
        self.start.saturating_add(self.end.saturating_sub(self.start).saturating_mul(3) / 4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_before_it_ends() {
        let principal = Principal::granting("R", "R");
        let key = Key::new(17, &[0; 16]).unwrap();
        let one = Credential { server: principal, ticket: Bytes::new(), key, start: 1000, end: 1100, renew_till: None };
        assert!(!one.is_old(1074) && one.is_old(1075) && one.is_usable(1097) && !one.is_usable(1098));
    }
}
