//~ is no answer
//~ answer with `Ok(message)`, `Err(status)`, or
use compile_hints::User;
use compile_hints::users_mock::MockUsers;

fn main() {
    let (_mock, mut expected) = MockUsers::new();
    expected.expect_get_user(|_| User::default());
}
