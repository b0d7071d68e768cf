//! Which addresses a request may go to. Asked for the address that is connected to, never for the
//! name: a name can resolve to anything, and to something else a moment later.
//!
//! Not here: resolving and connecting (`client`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why `address` is out of reach, or none where it may be used.
pub(crate) fn refused(address: IpAddr, allow_private: bool) -> Option<&'static str> {
    let (kind, is_private) = match address {
        IpAddr::V4(v4) => special_v4(v4)?,
        IpAddr::V6(v6) => special_v6(v6)?,
    };
    (!(is_private && allow_private)).then_some(kind)
}

/// What is special about an address, and whether a grant of private addresses covers it.
fn special_v4(address: Ipv4Addr) -> Option<(&'static str, bool)> {
    let [a, b, c, _] = address.octets();
    Some(match (a, b, c) {
        (0, ..) => ("this-network", false),
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => ("private", true),
        (100, 64..=127, _) => ("carrier-grade NAT", true),
        (127, ..) => ("loopback", true),
        (169, 254, _) => ("link-local", true),
        (192, 0, 0) | (240.., ..) => ("reserved", false),
        (192, 0, 2) | (198, 51, 100) | (203, 0, 113) => ("documentation", false),
        (198, 18..=19, _) => ("benchmarking", true),
        (224..=239, ..) => ("multicast", false),
        _ => return None,
    })
}

fn special_v6(address: Ipv6Addr) -> Option<(&'static str, bool)> {
    let segments = address.segments();
    Some(match segments {
        [0, 0, 0, 0, 0, 0, 0, 0] => ("unspecified", false),
        [0, 0, 0, 0, 0, 0, 0, 1] => ("loopback", true),
        // No resolver gives these; they are a way around the rules for IPv4.
        [0, 0, 0, 0, 0, 0xffff, ..] => ("IPv4-mapped", false),
        [0, 0, 0, 0, 0, 0, ..] => ("IPv4-compatible", false),
        [0, 0, 0, 0, 0xffff, 0, ..] => ("IPv4-translated", false),
        // NAT64 and 6to4 are translated to IPv4 further on: what is inside decides.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => return special_v4(embedded(high, low)),
        [0x64, 0xff9b, 1, ..] => ("local NAT64", true),
        [0x2001, 0, ..] => ("Teredo", false),
        [0x2001, 0xdb8, ..] => ("documentation", false),
        [0x100, 0, 0, 0, ..] => ("discard-only", false),
        [0xfc00..=0xfdff, ..] => ("unique-local", true),
        [0xfe80..=0xfebf, ..] => ("link-local", true),
        [0xfec0..=0xfeff, ..] => ("site-local", true),
        [0xff00..=0xffff, ..] => ("multicast", false),
        _ => return None,
    })
}

fn embedded(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses_are_out_of_reach() {
        let rows = "
            93.184.216.34       open    open
            172.32.0.1          open    open
            2606:2800:220:1::1  open    open
            127.0.0.1           refused open
            10.1.2.3            refused open
            172.16.0.1          refused open
            192.168.1.1         refused open
            100.64.0.1          refused open
            169.254.169.254     refused open
            ::1                 refused open
            fd00::1             refused open
            fe80::1             refused open
            0.0.0.0             refused refused
            224.0.0.1           refused refused
            255.255.255.255     refused refused
            192.0.2.1           refused refused
            ::                  refused refused
            ff02::1             refused refused
            ::ffff:127.0.0.1    refused refused
            ::ffff:93.184.216.34 refused refused
            ::127.0.0.1         refused refused
            ::ffff:0:127.0.0.1  refused refused
            64:ff9b::7f00:1     refused open
            64:ff9b::5db8:d822  open    open
            2002:7f00:1::       refused open
            2001:0:1::          refused refused";
        for row in rows.lines().skip(1) {
            let words: Vec<_> = row.split_whitespace().collect();
            let [address, guarded, private] = words[..] else { panic!("{row}") };
            for (allow_private, expected) in [(false, guarded), (true, private)] {
                let found = address.parse().ok().map(|address| match refused(address, allow_private) {
                    None => "open",
                    Some(_) => "refused",
                });
                assert_eq!(found, Some(expected), "{address}, private allowed: {allow_private}");
            }
        }
    }
}
