//! How often somebody may try to log in: so often per name and address, per address, and per name.
//!
//! Each is a bucket of tries that fills again with time. A try takes one from each of the three; one that was right
//! gives them back. So somebody who guesses is slowed down, and somebody else of the same name, elsewhere, is not locked
//! out by it until very many guess.
//!
//! Kept in memory by each engine; a restart forgets it. Not here: what a try costs (`passwords`).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Buckets at once. Those that are full again are forgotten first.
const BUCKETS_MAX: usize = 20_000;
/// Longer names are nobody's; they are counted together.
const NAME_BYTES_MAX: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Of {
    Both(String, IpAddr),
    Address(IpAddr),
    Name(String),
}

impl Of {
    /// How many tries it has room for, and after how many milliseconds there is one more.
    fn size(&self) -> (u64, u64) {
        match self {
            Self::Both(..) => (5, 30_000),
            Self::Address(_) => (30, 2_000),
            Self::Name(_) => (50, 10_000),
        }
    }
}

/// When it will be full again: what is missing is told by that alone.
#[derive(Debug, Default)]
pub(crate) struct Tries(Mutex<HashMap<Of, u64>>);

impl Tries {
    /// Takes one try. `Err`: none is left; there is one after so many milliseconds.
    pub(super) fn take(&self, name: &str, address: IpAddr, now_ms: u64) -> Result<(), u64> {
        let mut full_at = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = buckets(name, address);
        let wait_ms = all.iter().map(|of| {
            let (room, each_ms) = of.size();
            // A clock that was set back must not lock anybody out for longer than an empty bucket does.
            let missing_ms = full_at.get(of).map_or(0, |at| at.saturating_sub(now_ms).min(room * each_ms));
            (missing_ms + each_ms).saturating_sub(room * each_ms)
        });
        if let Some(wait_ms) = wait_ms.max().filter(|wait_ms| *wait_ms > 0) {
            return Err(wait_ms);
        }
        if full_at.len() + all.len() > BUCKETS_MAX {
            full_at.retain(|_, at| *at > now_ms);
        }
        if full_at.len() + all.len() > BUCKETS_MAX {
            // Those of addresses and of names go on.
            full_at.retain(|of, _| !matches!(of, Of::Both(..)));
        }
        if full_at.len() + all.len() > BUCKETS_MAX {
            // So many addresses at once are no guesser whom a bucket would slow down.
            full_at.clear();
        }
        for of in all {
            let each_ms = of.size().1;
            let at = full_at.entry(of).or_default();
            *at = (*at).max(now_ms) + each_ms;
        }
        Ok(())
    }

    /// Gives back what a try took that was right.
    pub(super) fn give_back(&self, name: &str, address: IpAddr) {
        let mut full_at = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for of in buckets(name, address) {
            let each_ms = of.size().1;
            if matches!(of, Of::Both(..)) {
                full_at.remove(&of);
            } else if let Some(at) = full_at.get_mut(&of) {
                *at = at.saturating_sub(each_ms);
            }
        }
    }
}

fn buckets(name: &str, address: IpAddr) -> [Of; 3] {
    let name = if name.len() > NAME_BYTES_MAX { String::new() } else { name.to_owned() };
    let address = match address {
        IpAddr::V4(_) => address,
        // Whoever has one address of a network has all of it.
        IpAddr::V6(six) => match six.to_ipv4_mapped() {
            Some(four) => IpAddr::V4(four),
            None => IpAddr::V6((six.to_bits() >> 64 << 64).into()),
        },
    };
    [Of::Both(name.clone(), address), Of::Address(address), Of::Name(name)]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn guessing_is_slowed_down_and_others_are_not() {
        let tries = Tries::default();
        let take = |name: &str, from: &str, now_ms: u64| tries.take(name, from.parse().unwrap(), now_ms).err();
        for _ in 0..5 {
            assert_eq!(take("ada", "10.0.0.1", 1_000), None);
        }
        for (name, from, now_ms, wait_ms) in [
            ("ada", "10.0.0.1", 1_000, Some(30_000)),
            ("ada", "::ffff:10.0.0.1", 11_000, Some(20_000)),
            ("ada", "10.0.0.2", 11_000, None),
            ("bo", "10.0.0.1", 11_000, None),
            ("ada", "10.0.0.1", 31_000, None),
            ("ada", "10.0.0.1", 31_000, Some(30_000)),
            // The clock was set back.
            ("ada", "10.0.0.1", 5, Some(30_000)),
        ] {
            assert_eq!(take(name, from, now_ms), wait_ms, "{name} {from} {now_ms}");
        }
        tries.give_back("ada", "10.0.0.1".parse().unwrap());
        assert_eq!(take("ada", "10.0.0.1", 31_000), None);
        // One network, many names; and one name, many networks.
        let many = |of: &dyn Fn(u32) -> (String, String)| {
            (0..100).filter(|n| take(&of(*n).0, &of(*n).1, 90_000).is_none()).count()
        };
        assert_eq!(many(&|n| (format!("u{n}"), format!("2001:db8::{n}"))), 30);
        assert_eq!(many(&|n| ("cy".to_owned(), format!("10.1.0.{n}"))), 50);
    }

    #[test]
    fn memory_is_bounded() {
        let tries = Tries::default();
        for n in 0..60_000_u32 {
            let _ = tries.take(&format!("u{n}"), IpAddr::V4(n.into()), 1_000);
        }
        assert!(tries.0.lock().unwrap().len() <= BUCKETS_MAX);
    }
}
