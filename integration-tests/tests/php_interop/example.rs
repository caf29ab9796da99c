//! The example for PHP developers does what its README says.

use std::path::Path;
use std::process::Command;

use dora_integration_tests::process::{Process, binary};
use dora_integration_tests::raw::PATIENCE;

fn example(args: &[&str]) -> Process {
    let path = binary("php-interop").expect("it builds");
    Process::spawn(Command::new(path).args(args)).expect("it starts")
}

fn php(script: &str, args: &[&str]) -> Process {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/php-interop/php");
    let mut command = Command::new("php");
    command.args(["-d", "display_errors=stderr", "-d", "error_reporting=-1"]);
    Process::spawn(command.arg(scripts.join(script)).args(args)).expect("PHP (apt-get install php-cli)")
}

/// All that it prints until it ends; it must end well, and say nothing else but how its
/// server is.
fn output(mut process: Process) -> String {
    let mut output = String::new();
    while let Some(line) = process.line(PATIENCE).expect("a line") {
        output.push_str(&line);
        output.push('\n');
    }
    let status = process.wait(PATIENCE).expect("it ends");
    assert!(status.success(), "{status}\n{output}{}", process.errors());
    let errors = process.errors();
    let odd: Vec<_> = errors.lines().filter(|line| !line.contains(" INFO dora::server: ")).collect();
    assert_eq!(odd, [""; 0], "{output}");
    output
}

const PHP_CALLS_RUST: &str = "\
wait:      user 7 is Ada of London
wait:      user '8' is Adele, with no address
exception: no user 9 with code 1404
refused:   not the message expected (php): id: expected an int64, got an array at byte 14
multi:     Ada and Adele; Ada is admin, poet
no result: 100001 transfer success.已经成功投递
async:     100001, and we go on working
async:     5 bytes went to ada@example.org
";

const RUST_CALLS_PHP: &str = "\
typed:     2 engines cost 2400000 cents (GBP)
exception: we do not sell unicorn with code 1404
deferred:  accepted, and we go on working
deferred:  1000 punch cards cost 2000 cents
batch:     1 engine costs 1200000, a dozen 14400000
dynamic:   {\"item\": \"engine\", \"cents\": 3600000, \"currency\": \"GBP\"}
";

#[test]
fn it_shows_both_directions_and_ends() {
    let output = output(example(&[]));
    let (first, second) = output.split_once("\n\n").expect("two parts");
    let (title, calls) = first.split_once('\n').expect("a title");
    assert!(title.starts_with("PHP calls Rust, on 127.0.0.1:"), "{title}");
    assert_eq!(calls, PHP_CALLS_RUST.trim_end());
    let (title, calls) = second.split_once('\n').expect("a title");
    let address = title.strip_prefix("Rust calls PHP, on ").expect(title);
    assert_eq!(calls, RUST_CALLS_PHP);
    std::net::TcpStream::connect(address).expect_err("the PHP server is gone");
}

#[test]
fn each_half_runs_by_itself() {
    let mut server = example(&["serve", "--tcp", "127.0.0.1:0"]);
    let line = server.line(PATIENCE).expect("a line").unwrap_or_default();
    let (host, port) = line.strip_prefix("ready: tcp ").and_then(|at| at.split_once(':')).expect(&line);
    assert_eq!(output(php("client.php", &[host, port])), PHP_CALLS_RUST);

    let mut server = php("server.php", &["127.0.0.1:0"]);
    let line = server.line(PATIENCE).expect("a line").unwrap_or_default();
    let address = line.strip_prefix("listening on ").expect(&line);
    assert_eq!(output(example(&["quote", "--php", address])), RUST_CALLS_PHP);
    assert_eq!(server.errors(), "");
}

#[test]
fn without_php_it_says_what_to_install() {
    let path = binary("php-interop").expect("it builds");
    let output = Command::new(path).env("PATH", "").output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("apt-get install php-cli"), "{said}");
}
