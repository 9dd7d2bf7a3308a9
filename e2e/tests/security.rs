//! What strangers, mistakes and curious people may try: hostile messages and letters, users with few rights, TLS, and secrets
//! in places where they do not belong.

#![expect(clippy::unwrap_used, reason = "helpers of tests may stop the test")]

#[path = "security/books.rs"]
mod books;
#[path = "security/fleet.rs"]
mod fleet;
#[path = "security/letters.rs"]
mod letters;
#[path = "security/messages.rs"]
mod messages;
#[path = "security/moves.rs"]
mod moves;
#[path = "security/tls.rs"]
mod tls;
#[path = "security/users.rs"]
mod users;

use e2e::broker::{Extras, PrivateBroker};

#[test]
fn messages_and_letters() {
    let dir = tempfile::tempdir().unwrap();
    let mut broker = PrivateBroker::start(dir.path()).unwrap();
    messages::end_as_dead_letters(&broker);
    letters::are_shown_tamely_and_dropped(&broker);
    books::and_queue_come_together_again(&broker);
    moves::lose_nothing(&mut broker);
    broker.stop().unwrap();
}

#[test]
fn tls_and_users() {
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("tls");
    tls::make_ca(&ca, "30", &["localhost"]);
    let extras = Extras { tls: Some(ca.clone()), definitions: None };
    let broker = PrivateBroker::start_with(&dir.path().join("broker"), &extras).unwrap();
    tls::is_trusted_or_explained(&broker, &ca);
    users::made_by_setup_can_do_their_work(&broker, &ca);
    users::written_for_a_first_start(&broker);
    broker.stop().unwrap();
}
