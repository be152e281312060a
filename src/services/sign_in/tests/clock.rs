//! Locks, while somebody sets the clock.

use super::*;

#[tokio::test]
async fn s11_a_set_clock_neither_ends_a_lock_nor_makes_it_longer() {
    const DAY: Duration = Duration::from_hours(24);
    let minute = Duration::from_mins(1);
    let world = TestEnv::with_ann(|_| {}).await;
    world.fail(EMAIL, 11).await;
    world.hand.advance(minute);
    let noon = world.clock.now();
    for set in [noon + DAY, noon - DAY, noon] {
        world.hand.set_wall(set);
        assert_eq!(world.lock(EMAIL, PASSWORD).await, minute * 19);
    }
    // A gateway that starts anew knows the time by the wall clock alone.
    let world = world.reopened(noon + minute).await;
    assert_eq!(world.lock(EMAIL, PASSWORD).await, minute * 18);
    world.hand.set_wall(noon + DAY);
    assert_eq!(world.lock(EMAIL, PASSWORD).await, minute * 18);
    // However far back that was set, a lock is never longer than locks are.
    let world = world.reopened(noon - DAY).await;
    assert_eq!(world.lock(EMAIL, PASSWORD).await, LOCK);
    world.hand.advance(LOCK);
    world.sign_in(EMAIL, PASSWORD).await.unwrap();
}
