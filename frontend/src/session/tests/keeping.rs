//! Finding the store, following its leader, carrying messages in order.

use leasehold_proto::session::{RefusalReason, Refused};

use super::*;
use crate::session::{INBOX_MESSAGES_MAX, LINE_MESSAGES_MAX, LineError};

fn not_leader(leader: Option<&str>) -> FromStore {
    FromStore::Refused(Refused {
        reason: RefusalReason::NotLeader,
        detail: "follows".to_owned(),
        leader_address: leader.map(str::to_owned),
    })
}

#[tokio::test]
async fn a_frontend_told_where_the_leader_is_goes_there() {
    let (mut follower, mut other, mut leader) =
        (FakeStore::start().await, FakeStore::start().await, FakeStore::start().await);
    let addresses = [&follower, &other, &leader].map(|store| store.address.clone());
    let mut kept = keep_with(&addresses);
    let _line = kept.line().await;
    let refusal = not_leader(Some(&leader.address));
    follower.call().await.say(refusal.clone()).await;
    assert_eq!(kept.until_disconnected().await, [refusal]);
    open(&mut kept, &mut leader, 7).await;
    let connected = SessionState::Connected { address: leader.address.clone(), epoch: Epoch(7) };
    assert_eq!(*kept.state.borrow(), connected);
    assert!(other.is_quiet(), "the leader was named, so nobody else was asked");
}

#[tokio::test]
async fn fo_304_in_plain_text_nobody_can_name_a_stranger() {
    let (mut follower, mut stranger) = (FakeStore::start().await, FakeStore::start().await);
    let mut kept = keep_with(&[follower.address.clone()]);
    for _ in 0..3 {
        let _line = kept.line().await;
        follower.call().await.say(not_leader(Some(&stranger.address))).await;
        kept.until_disconnected().await;
    }
    assert!(stranger.is_quiet());
}

#[tokio::test]
async fn a_frontend_that_finds_no_store_says_so_and_serves_as_soon_as_there_is_one() {
    let late = FakeStore::start().await;
    let address = late.address.clone();
    drop(late);
    let mut kept = keep_with(std::slice::from_ref(&address));
    let said = kept.state.wait_for(|state| matches!(state, SessionState::Searching { problem: Some(_) }));
    let said = format!("{:?}", *soon("a word on the problem", said).await.unwrap());
    assert!(said.contains(&address), "{said}");
    // The port may be held for a moment by what is left of the first listener.
    let address: std::net::SocketAddr = address.parse().unwrap();
    let mut store = FakeStore::start_at(address).await;
    // Attempts while the first listener was going down may have reached it.
    let line = loop {
        match kept.next().await {
            FromSession::Connected(line) => break line,
            _ => continue,
        }
    };
    line.send(hello()).unwrap();
    assert_eq!(store.call().await.hear().await, Some(hello()));
}

#[tokio::test]
async fn messages_go_both_ways_in_order() {
    const COUNT: u64 = 500;
    let mut store = FakeStore::start().await;
    let mut kept = keep_with(&[store.address.clone()]);
    let (line, mut call) = open(&mut kept, &mut store, 1).await;
    let down = tokio::spawn(async move {
        for number in 0..COUNT {
            assert!(call.say(answer(number)).await);
        }
        for number in 0..COUNT {
            let duid = leasehold_proto::words::Duid::new(&number.to_be_bytes()).unwrap();
            let expected = ToStore::Lookup { link: leasehold_proto::words::LinkId(1), duid };
            assert_eq!(call.hear().await, Some(expected));
        }
        call
    });
    for number in 0..COUNT {
        let duid = leasehold_proto::words::Duid::new(&number.to_be_bytes()).unwrap();
        line.send(ToStore::Lookup { link: leasehold_proto::words::LinkId(1), duid }).unwrap();
        assert_eq!(kept.message().await, answer(number));
    }
    soon("the store has heard everything", down).await.unwrap();
}

#[tokio::test]
async fn a_packet_thread_that_is_busy_slows_the_store_down_and_loses_nothing() {
    const COUNT: u64 = 4 * INBOX_MESSAGES_MAX as u64;
    let mut store = FakeStore::start().await;
    let mut kept = keep_with(&[store.address.clone()]);
    let (_line, call) = open(&mut kept, &mut store, 1).await;
    let saying = tokio::spawn(async move {
        for number in 0..COUNT {
            assert!(call.say(answer(number)).await);
        }
        call
    });
    // The inbox fills up, and no further.
    while kept.from_session.len() < INBOX_MESSAGES_MAX {
        tokio::task::yield_now().await;
    }
    assert_eq!(kept.from_session.max_capacity(), INBOX_MESSAGES_MAX);
    for number in 0..COUNT {
        assert_eq!(kept.message().await, answer(number));
    }
    soon("all was said", saying).await.unwrap();
}

#[tokio::test]
async fn a_store_that_does_not_keep_up_is_told_from_one_that_is_gone() {
    let mut store = FakeStore::start().await;
    let mut kept = keep_with(&[store.address.clone()]);
    let (line, call) = open(&mut kept, &mut store, 1).await;
    // Nobody polls the connection meanwhile: this test's runtime has one thread.
    let taken = (0..=LINE_MESSAGES_MAX).take_while(|_| line.send(hello()).is_ok()).count();
    assert_eq!(taken, LINE_MESSAGES_MAX);
    assert_eq!(line.send(hello()), Err(LineError::Full));
    call.fail().await;
    kept.until_disconnected().await;
    assert_eq!(line.send(hello()), Err(LineError::Broken));
}

#[tokio::test]
async fn the_task_ends_with_the_packet_thread() {
    let store = FakeStore::start().await;
    let Kept { from_session, task, .. } = keep_with(std::slice::from_ref(&store.address));
    drop(from_session);
    soon("the task's end", task).await.unwrap();
}
