//! The programs that the tests run beside Rust, and how they come.

use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::bail;

use crate::step::Step;

/// A program that the tests start.
struct Need {
    /// Its name on the path; it must answer `--version`.
    program: &'static str,
    /// The Debian and Ubuntu packages that bring it.
    packages: &'static [&'static str],
    /// The tests that cannot do without.
    used_by: &'static str,
}

const NEEDS: &[Need] = &[
    Need { program: "curl", packages: &["curl"], used_by: "the tests of the HTTP door" },
    Need { program: "php", packages: &["php-cli"], used_by: "the tests against PHP peers" },
    Need { program: "python3", packages: &["python3"], used_by: "the tests of the HTTP door" },
    Need {
        program: "protoc",
        packages: &["protobuf-compiler"],
        used_by: "the tests that share .proto files with it",
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
    needs.iter().filter(|need| !answers(need.program)).collect()
}

fn answers(program: &str) -> bool {
    succeeds(program, &["--version"])
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
    if !answers("apt-get") {
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
        packages: &["package-b", "package-a"],
        used_by: "this test",
    };

    #[test]
    fn a_missing_program_is_found_missing() {
        static NEEDS: [Need; 2] = [ABSENT, Need { program: "cargo", packages: &[], used_by: "everything" }];
        let missing = missing(&NEEDS);
        assert_eq!(missing.len(), 1);
        assert_eq!(missing[0].program, ABSENT.program);
    }

    #[test]
    fn the_advice_names_program_reason_and_packages() {
        static NEED: Need = ABSENT;
        let advice = advice(&[&NEED]);
        assert!(advice.contains("no-such-program-of-dora, for this test"));
        assert!(advice.contains("apt-get install package-a package-b"));
    }
}
