//! Lockout while the wall clock is set.

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
    // After a restart only the wall clock tells time.
    let world = world.reopened(noon + minute).await;
    assert_eq!(world.lock(EMAIL, PASSWORD).await, minute * 18);
    world.hand.set_wall(noon + DAY);
    assert_eq!(world.lock(EMAIL, PASSWORD).await, minute * 18);
    // However far the clock is set back, a lock does not exceed the configured duration.
    let world = world.reopened(noon - DAY).await;
    assert_eq!(world.lock(EMAIL, PASSWORD).await, LOCK);
    world.hand.advance(LOCK);
    world.sign_in(EMAIL, PASSWORD).await.unwrap();
}
