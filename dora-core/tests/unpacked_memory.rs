//! What the worst body takes once it is unpacked: a test binary of its own, so
//! that nothing else is counted.
#![cfg(target_os = "linux")]

use dora_core::pack::limits::Limits;
use dora_core::pack::php::decode;

const MIB: usize = 1 << 20;

/// The most memory that the process has held, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux");
    let kib: usize = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib << 10
}

/// A list of as many `element`s, of `nodes` values each, as the defaults allow.
fn body(element: &str, nodes: usize) -> Vec<u8> {
    let limits = Limits::default();
    let most = (limits.nodes - 1) / nodes;
    let count = most.min((limits.bytes - 32) / (element.len() + 10));
    let mut body = format!("a:{count}:{{").into_bytes();
    for at in 0..count {
        body.extend_from_slice(format!("i:{at};{element}").as_bytes());
    }
    body.push(b'}');
    body
}

/// One after the other: each is let go before the next one is read, so the peak is
/// that of the worst.
#[test]
fn the_worst_body_stays_within_its_bound() {
    for (element, nodes) in [
        ("N;", 1),
        ("a:0:{}", 1),
        ("s:1:\"x\";", 1),
        ("a:1:{i:0;N;}", 2),
        ("a:1:{s:1:\"k\";N;}", 2),
        ("O:1:\"X\":0:{}", 1),
        ("O:1:\"X\":1:{s:1:\"k\";N;}", 2),
        ("E:3:\"A:B\";", 1),
        ("C:1:\"X\":1:{y}", 1),
    ] {
        let bytes = body(element, nodes);
        let value = decode(&bytes, &Limits::default()).expect(element);
        assert_eq!(value.as_array().map(|array| array.len() > MIB / 4), Some(true), "{element}");
        assert!(peak() < 512 * MIB, "{element}: {} MiB", peak() / MIB);
    }
}
