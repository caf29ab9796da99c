//! The same over Unix sockets, TLS and in memory.

use dora_integration_tests::over::run_over_others;

#[test]
fn recordings_are_read_whatever_carries_them() {
    run_over_others(&["replay::callers_get_what_php_callers_got_one_layer_deeper"]);
}
