//! The scripts that make each step whole. They find the keys of groups in records, which a
//! Redis Cluster does not allow.

use std::sync::LazyLock;

use redis::Script;

macro_rules! script {
    ($(#[$doc:meta])* $name:ident, $file:literal) => {
        $(#[$doc])*
        pub(super) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(concat!(include_str!("common.lua"), include_str!($file))));
    };
}

script!(
    /// Announces an instance.
    ANNOUNCE, "announce.lua"
);
script!(
    /// Takes it back.
    WITHDRAW, "withdraw.lua"
);
script!(
    /// Lists a group.
    LIST, "list.lua"
);
script!(
    /// What did not fit into the answer of that.
    RECORDS, "records.lua"
);
script!(
    /// What PHP's servers wrote.
    MEMBERS, "members.lua"
);
script!(
    /// A configuration.
    VALUE, "value.lua"
);
