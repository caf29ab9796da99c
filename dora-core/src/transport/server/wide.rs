//! Settings that open a port wide: each may be meant, and is said when the server
//! begins to listen.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use crate::transport::io::address::Address;

use super::config::SessionConfig;
use super::connections::ServerConfig;
use super::control::Control;
use super::upgrade::Upgrade;

/// From here on a bound on bytes or numbers bounds nothing: one peer may have what
/// a machine has.
const UNBOUNDED: usize = 1 << 30;

/// The same for how long a peer may hold what it was given.
const FOREVER: Duration = Duration::from_secs(24 * 3600);

/// What is open of a door's port, in words, beside what [`settings`] says of the
/// server.
pub(super) fn door(address: Option<&Address>, server: &ServerConfig) -> Option<&'static str> {
    let open = address.is_some_and(is_public) && is_plain(server);
    open.then_some("whoever reaches it may call: TLS is not asked for")
}

/// What is open, in words.
pub(super) fn settings(
    address: Option<&Address>,
    config: &SessionConfig,
    server: &ServerConfig,
    control: &Control,
) -> Vec<Cow<'static, str>> {
    let mut open = Vec::new();
    if address.is_some_and(is_public) && is_plain(server) && config.salt.is_none() {
        open.push("whoever reaches it may call: neither TLS nor a signature is asked for".into());
    }
    // Of what is no listener of the system, who reaches it is not known.
    if control.answers() && !address.is_some_and(is_near) {
        open.push("control commands are answered, to whoever reaches it".into());
    }
    let bounds = [
        ("max_packet", config.max_packet),
        ("limits.bytes", config.limits.bytes),
        ("max_calls_per_connection", config.max_calls),
        ("max_request_bytes_per_connection", config.max_request_bytes),
        ("max_request_bytes", server.max_request_bytes),
        ("max_buffered_per_connection", config.max_buffered),
        ("max_buffered", server.max_buffered),
        ("max_running_calls", server.max_running),
        ("max_connections", server.max_connections),
    ];
    for (name, bound) in bounds {
        if bound >= UNBOUNDED {
            open.push(format!("{name} = {bound} bounds nothing").into());
        }
    }
    let times = [
        ("idle_timeout", config.idle_timeout),
        ("frame_timeout", config.frame_timeout),
        ("stall_timeout", config.stall_timeout),
    ];
    for (name, time) in times {
        if time >= FOREVER {
            open.push(format!("{name} of a day or more: silent peers keep what they hold").into());
        }
    }
    open
}

/// Whether nobody has to speak TLS.
fn is_plain(server: &ServerConfig) -> bool {
    server.upgrade.as_ref().is_none_or(Upgrade::is_optional)
}

/// Whether all networks that the machine is in, or the whole of the internet,
/// reach an address.
fn is_public(address: &Address) -> bool {
    match ip(address) {
        Some(IpAddr::V4(ip)) => !(ip.is_loopback() || ip.is_private() || ip.is_link_local()),
        Some(IpAddr::V6(ip)) => !(ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()),
        None => false,
    }
}

/// Whether only this machine reaches it: a file's permissions say who does.
fn is_near(address: &Address) -> bool {
    match address {
        Address::Unix(_) => true,
        Address::Tcp { .. } => ip(address).is_some_and(|ip| ip.is_loopback()),
    }
}

fn ip(address: &Address) -> Option<IpAddr> {
    match address {
        Address::Tcp { host, .. } => host.parse().ok().map(|ip: IpAddr| ip.to_canonical()),
        Address::Unix(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::checksum::Salt;

    fn said(address: &str, change: impl FnOnce(&mut SessionConfig, &mut ServerConfig)) -> Vec<String> {
        let address = address.parse().expect("an address");
        let (mut config, mut server) = (SessionConfig::default(), ServerConfig::default());
        change(&mut config, &mut server);
        let open = settings(Some(&address), &config, &server, &Control::default());
        open.into_iter().map(Cow::into_owned).collect()
    }

    #[test]
    fn an_address_that_all_reach_asks_for_something() {
        let all = ["whoever reaches it may call: neither TLS nor a signature is asked for"];
        for public in ["0.0.0.0:1", "[::]:1", "203.0.113.9:1", "[2001:db8::1]:1", "[::ffff:203.0.113.9]:1"] {
            assert_eq!(said(public, |_, _| {}), all, "{public}");
            let signed = said(public, |config, _| config.salt = Some(Salt::default()));
            assert!(signed.is_empty(), "{public}: {signed:?}");
        }
        for near in
            ["127.0.0.1:1", "[::1]:1", "10.0.2.15:1", "[fd00::1]:1", "[::ffff:10.0.2.15]:1", "unix:/x"]
        {
            assert!(said(near, |_, _| {}).is_empty(), "{near}");
        }
    }

    #[test]
    fn commands_are_said_where_others_than_this_machine_reach_them() {
        let (config, server) = (SessionConfig::default(), ServerConfig::default());
        for (address, open) in [("10.0.2.15:1", 1), ("127.0.0.1:1", 0), ("unix:/x", 0)] {
            let address = address.parse().expect("an address");
            let said = settings(Some(&address), &config, &server, &Control::enabled());
            assert_eq!(said.len(), open, "{address}: {said:?}");
        }
        assert_eq!(settings(None, &config, &server, &Control::enabled()).len(), 1, "who knows who that is?");
        assert!(settings(None, &config, &server, &Control::default()).is_empty());
    }

    #[test]
    fn bounds_that_bound_nothing_are_said() {
        let said = said("127.0.0.1:1", |config, server| {
            config.max_packet = usize::MAX;
            config.stall_timeout = Duration::MAX;
            server.max_running = UNBOUNDED;
            server.max_connections = UNBOUNDED - 1;
        });
        let [packet, running, stall] = &said[..] else { panic!("{said:#?}") };
        assert_eq!(packet, &format!("max_packet = {} bounds nothing", usize::MAX));
        assert_eq!(running, &format!("max_running_calls = {UNBOUNDED} bounds nothing"));
        assert!(stall.starts_with("stall_timeout of a day or more"), "{stall}");
    }
}
