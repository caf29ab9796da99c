//! Where others reach what listens here.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::transport::io::address::Address;

/// The address of what listens on `bound`, for other machines: that one, unless it listens
/// on all of the machine's; then the one that the default route leaves from.
///
/// # Errors
/// There is no route that leaves the machine.
pub(crate) fn advertised(bound: &Address) -> io::Result<Address> {
    let Address::Tcp { host, port } = bound else { return Ok(bound.clone()) };
    match host.parse::<IpAddr>() {
        Ok(ip) if ip.is_unspecified() => Ok(SocketAddr::new(outward(ip)?, *port).into()),
        _ => Ok(bound.clone()),
    }
}

/// The address of this machine that a packet to somewhere else would come from. None is
/// sent: connecting a datagram socket looks up the route, and no more. The destinations are
/// those that are reserved for documentation (RFC 5737, RFC 3849).
fn outward(any: IpAddr) -> io::Result<IpAddr> {
    let v4 = || source((Ipv4Addr::UNSPECIFIED, 0).into(), (Ipv4Addr::new(192, 0, 2, 1), 9).into());
    let documentation = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    let v6 = || source((Ipv6Addr::UNSPECIFIED, 0).into(), (documentation, 9).into());
    // What listens on all IPv6 addresses is reached over IPv4 too, by default.
    if any.is_ipv6() { v4().or_else(|_| v6()) } else { v4() }
}

fn source(from: SocketAddr, to: SocketAddr) -> io::Result<IpAddr> {
    let socket = UdpSocket::bind(from)?;
    socket.connect(to)?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_an_address_is_advertised_as_it_is() {
        for text in ["127.0.0.1:9567", "[::1]:9567", "unix:/run/x.sock"] {
            let address: Address = text.parse().expect(text);
            assert_eq!(advertised(&address).expect(text), address);
        }
    }

    #[test]
    fn all_addresses_are_advertised_as_one_or_not_at_all() {
        for text in ["0.0.0.0:9567", "[::]:9567"] {
            // A machine without a network has none.
            let Ok(Address::Tcp { host, port }) = advertised(&text.parse().expect(text)) else { continue };
            assert!(!host.parse::<IpAddr>().expect("an IP address").is_unspecified(), "{host}");
            assert_eq!(port, 9567);
        }
    }
}
