//! The file that PHP clients include, as the original's monitor writes it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dora_core::discovery::record::{DEFAULT_GROUP, InstanceRecord, can};

/// `<?php return array(group => array("ip_port" => array(ip, port, updatetime)));`, byte
/// for byte what `var_export` of PHP 8.2 makes of it in the original, whose comment on the
/// second line is kept.
///
/// Left out is who cannot be reached so: on a Unix socket, over TLS, or without PHP's
/// packing.
pub(super) fn render(instances: &[Arc<InstanceRecord>], confirmed: SystemTime) -> String {
    let since = confirmed.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let mut groups: BTreeMap<&str, Vec<(&str, u16)>> = BTreeMap::new();
    for instance in instances.iter().filter(|instance| speaks_php(instance)) {
        let Some(place) = place(&instance.address) else { continue };
        if instance.groups.is_empty() {
            groups.entry(DEFAULT_GROUP).or_default().push(place);
        }
        for group in &instance.groups {
            groups.entry(group).or_default().push(place);
        }
    }
    let mut file = String::from("<?php\n//This is generaled by client monitor\nreturn array (\n");
    for (group, places) in groups {
        let _ = write!(file, "  {} => \n  array (\n", quoted(group));
        for (ip, port) in places {
            let key = quoted(&format!("{ip}_{port}"));
            let _ = write!(
                file,
                "    {key} => \n    array (\n      'ip' => {},\n      'port' => {port},\n      \
                 'updatetime' => '{}',\n    ),\n",
                quoted(ip),
                since.as_secs()
            );
        }
        file.push_str("  ),\n");
    }
    file.push_str(");");
    file
}

/// Who does not say what it can is taken for one that PHP clients can call.
fn speaks_php(instance: &InstanceRecord) -> bool {
    let says = |word| instance.can.contains(word);
    instance.can.is_empty() || says(can::PHP) && !says(can::TLS)
}

/// The two halves of `host:port` and `[::1]:9567`; none of a Unix socket.
fn place(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Some((host, port.parse().ok()?))
}

/// A PHP string in single quotes, in which backslash and quote alone mean something.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_are_left_out_whom_php_cannot_call() {
        let instances = [
            InstanceRecord::unknown("10.0.2.15:9567"),
            InstanceRecord::unknown("[::1]:9568").with_ability(can::PHP).with_ability(can::JSON),
            InstanceRecord::unknown("unix:/run/x.sock"),
            InstanceRecord::unknown("10.0.2.16:9567").with_ability(can::PROTOBUF),
            InstanceRecord::unknown("10.0.2.17:9567").with_ability(can::PHP).with_ability(can::TLS),
        ];
        let instances: Vec<_> = instances.into_iter().map(Arc::new).collect();
        let file = render(&instances, UNIX_EPOCH + Duration::from_millis(1_795_224_408_900));
        let keys: Vec<_> = file.lines().filter(|line| line.starts_with("    '")).collect();
        assert_eq!(keys, ["    '10.0.2.15_9567' => ", "    '::1_9568' => "]);
        assert!(file.contains("      'ip' => '::1',\n      'port' => 9568,\n"), "{file}");
        assert!(file.contains("'updatetime' => '1795224408'"), "{file}");
    }

    #[test]
    fn names_cannot_break_out_of_their_quotes() {
        assert_eq!(quoted(r"it's"), r"'it\'s'");
        assert_eq!(quoted(r"\'); system('id'); //\"), r"'\\\'); system(\'id\'); //\\'");
    }
}
