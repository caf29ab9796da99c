//! The programs that the tests run beside Rust, and how they come.

use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::bail;

use crate::step::Step;

/// A program that the tests start.
struct Need {
    /// Its name on the path.
    program: &'static str,
    /// What it must be able to do.
    probe: &'static [&'static str],
    /// The Debian and Ubuntu packages that bring it.
    packages: &'static [&'static str],
    /// The tests that cannot do without.
    used_by: &'static str,
}

const VERSION: &[&str] = &["--version"];

const NEEDS: &[Need] = &[
    Need { program: "curl", probe: VERSION, packages: &["curl"], used_by: "the tests of the HTTP doors" },
    Need { program: "php", probe: VERSION, packages: &["php-cli"], used_by: "the tests against PHP peers" },
    Need {
        program: "python3",
        probe: VERSION,
        packages: &["python3"],
        used_by: "the tests of the HTTP doors",
    },
    Need {
        program: "python3",
        probe: &["-c", "import requests"],
        packages: &["python3", "python3-requests"],
        used_by: "the tests of the HTTP doors",
    },
    Need {
        program: "php",
        probe: &["-r", "curl_version();"],
        packages: &["php-cli", "php-curl"],
        used_by: "the tests of the HTTP doors",
    },
    Need {
        program: "node",
        probe: VERSION,
        packages: &["nodejs"],
        used_by: "the test with Connect's own client",
    },
    Need {
        program: "npm",
        probe: VERSION,
        packages: &["npm"],
        used_by: "the test with Connect's own client",
    },
    Need {
        program: "protoc",
        probe: VERSION,
        packages: &["protobuf-compiler"],
        used_by: "the tests that share .proto files with it",
    },
    Need {
        program: "protoc",
        // One of the well-known types, which Debian has in a package of their own.
        probe: &["--descriptor_set_out=/dev/null", "google/protobuf/descriptor.proto"],
        packages: &["protobuf-compiler", "libprotobuf-dev"],
        used_by: "the build of the client of etcd",
    },
    Need {
        program: "etcd",
        probe: VERSION,
        packages: &["etcd-server"],
        used_by: "the tests of discovery in etcd",
    },
    Need {
        program: "etcdctl",
        probe: &["version"],
        packages: &["etcd-client"],
        used_by: "the test of the example whose configuration an operator changes",
    },
    Need {
        program: "redis-server",
        probe: VERSION,
        packages: &["redis-server"],
        used_by: "the tests of discovery in Redis",
    },
    Need {
        program: "redis-cli",
        probe: VERSION,
        packages: &["redis-tools"],
        used_by: "the test of the example whose configuration an operator changes",
    },
    Need {
        program: "unshare",
        probe: VERSION,
        packages: &["util-linux"],
        used_by: "the test of a name that moves",
    },
];

/// Tries per apt command: another installer may hold the lists, which apt does
/// not wait for, and mirrors hiccup.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(10);

const APT_OPTIONS: [&str; 4] = ["-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3"];

/// Makes sure that every needed program is there, installing it if possible.
///
/// # Errors
///
/// When a program is missing and cannot be installed; the message names the
/// packages to install.
pub(crate) fn provide() -> anyhow::Result<()> {
    let missing = missing(NEEDS);
    if missing.is_empty() {
        return Ok(());
    }
    if let Some(become_root) = root_for_apt() {
        install(become_root, &packages(&missing));
    }
    let missing = self::missing(NEEDS);
    if !missing.is_empty() {
        bail!("{}", advice(&missing));
    }
    Ok(())
}

fn missing(needs: &'static [Need]) -> Vec<&'static Need> {
    needs.iter().filter(|need| !succeeds(need.program, need.probe)).collect()
}

fn packages(needs: &[&'static Need]) -> Vec<&'static str> {
    let mut packages: Vec<_> = needs.iter().flat_map(|need| need.packages).copied().collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

/// The words before `apt-get` that give it root; `None` when there is no
/// `apt-get`, or no root without asking for a password.
fn root_for_apt() -> Option<&'static [&'static str]> {
    if !succeeds("apt-get", VERSION) {
        return None;
    }
    let id = Command::new("id").arg("-u").output().ok()?;
    if id.stdout.trim_ascii() == b"0" {
        Some(&[])
    } else if succeeds("sudo", &["-n", "true"]) {
        Some(&["sudo", "-n"])
    } else {
        None
    }
}

/// Installs `packages` as well as it can; the caller looks at what came of it.
fn install(become_root: &[&str], packages: &[&str]) {
    let apt = |command: &[&str]| {
        let words = become_root
            .iter()
            .chain(&["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"])
            .chain(&APT_OPTIONS)
            .chain(command);
        retry(|| {
            let mut words = words.clone();
            let program = words.next().copied().unwrap_or_default();
            Step::new(program).args(words).run()
        })
    };
    // Old lists may do: a failed update is no reason not to try.
    apt(&["update"]);
    let mut command = vec!["install", "--yes", "--no-install-recommends"];
    command.extend(packages);
    apt(&command);
}

fn retry(mut step: impl FnMut() -> anyhow::Result<()>) {
    for attempt in 1..=ATTEMPTS {
        let Err(error) = step() else {
            return;
        };
        eprintln!("warning: {error:#} (attempt {attempt} of {ATTEMPTS})");
        if attempt < ATTEMPTS {
            thread::sleep(PAUSE);
        }
    }
}

fn succeeds(program: &str, args: &[&str]) -> bool {
    Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn advice(missing: &[&'static Need]) -> String {
    let mut text = String::from("the tests need programs that are not here:\n");
    for need in missing {
        text.push_str(&format!("  {}, for {}\n", need.program, need.used_by));
    }
    let packages = packages(missing).join(" ");
    text.push_str(&format!(
        "Install them, on Debian and Ubuntu as root with\n  apt-get install {packages}\n\
         and run this task again."
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABSENT: Need = Need {
        program: "no-such-program-of-dora",
        probe: VERSION,
        packages: &["package-b", "package-a"],
        used_by: "this test",
    };

    #[test]
    fn a_missing_program_is_found_missing() {
        const HERE: Need = Need { program: "cargo", probe: VERSION, packages: &[], used_by: "everything" };
        static NEEDS: [Need; 3] = [ABSENT, HERE, Need { probe: &["no-such-command-of-dora"], ..HERE }];
        let missing = missing(&NEEDS);
        let programs: Vec<_> = missing.iter().map(|need| need.program).collect();
        assert_eq!(programs, [ABSENT.program, "cargo"], "not there, and there without what it must do");
    }

    /// Both promise that nothing else is installed.
    #[test]
    fn what_is_installed_is_told_beforehand() {
        const README: &str = include_str!("../../README.md");
        const CONTRIBUTING: &str = include_str!("../../CONTRIBUTING.md");
        for package in NEEDS.iter().flat_map(|need| need.packages) {
            let named = format!("`{package}`");
            assert!(README.contains(&named), "README does not name {named}");
            assert!(CONTRIBUTING.contains(&named), "CONTRIBUTING does not name {named}");
        }
    }

    #[test]
    fn the_advice_names_program_reason_and_packages() {
        static NEED: Need = ABSENT;
        let advice = advice(&[&NEED]);
        assert!(advice.contains("no-such-program-of-dora, for this test"));
        assert!(advice.contains("apt-get install package-a package-b"));
    }
}
