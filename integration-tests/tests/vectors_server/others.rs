//! The same over Unix sockets, TLS and in memory.

use dora_integration_tests::over::run_over_others;

#[test]
fn recordings_are_answered_whatever_carries_them() {
    run_over_others(&[
        "clients::recorded_clients_get_the_recorded_answers",
        "raws::hand_made_bytes_get_the_answer_the_specification_asks_for",
    ]);
}
