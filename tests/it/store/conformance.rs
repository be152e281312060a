//! Conformance tests that every store must pass.
//!
//! The tests are functions over a [`Harness`]; [`conformance`] makes them tests of one store.

pub(crate) mod access_keys;
pub(crate) mod accounts;
pub(crate) mod admin_queries;
pub(crate) mod attempts;
pub(crate) mod audit;
pub(crate) mod invitations;
pub(crate) mod mails;
pub(crate) mod portable;
pub(crate) mod preconditions;
pub(crate) mod races;
pub(crate) mod sessions;
pub(crate) mod signatures;
pub(crate) mod tokens;

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Barrier;
use vestibule::clock::ManualClock;
use vestibule::random::Random;
use vestibule::store::{Import, Store};

/// Opens a store that was filled, with the clock at this time.
pub(crate) type OpenStore<H> = Box<dyn FnOnce(Timestamp) -> H>;

/// One store for one test, empty at first.
pub(crate) trait Harness: Sized {
    /// Creates an empty store; it is noon.
    fn new() -> Self;

    /// Returns the store.
    fn store(&self) -> Arc<dyn Store>;

    /// Returns the store's clock.
    fn hand(&self) -> &ManualClock;

    /// Restarts the store, with the clock at `wall`.
    fn restart(self, wall: Timestamp) -> Self;

    /// Creates a store to be filled, and the function that opens it afterwards.
    fn fill() -> (Box<dyn Import>, OpenStore<Self>);

    /// Returns deterministic randomness.
    fn random(&self) -> &Random;
}

/// Makes the tests of one store, for its harness.
macro_rules! conformance {
    ($harness:ident) => {
        super::conformance::each! { $harness:
            accounts {
                an_account_is_found_by_id_address_and_username
                an_address_serves_one_account_in_any_case
                a_username_is_never_given_again
                accounts_are_created_together_each_or_not
                accounts_that_are_there_are_not_created_again
                a_new_account_had_no_other_username
                accounts_come_in_the_order_they_were_made
                a_group_has_active_members_while_somebody_is_in_it
                a_change_replaces_the_account_that_was_read
                an_edit_is_applied_to_the_account_as_it_is
                a_change_moves_the_address
                a_change_of_case_is_a_change
                a_change_cannot_take_an_address
                an_account_keeps_the_usernames_that_it_had
                the_last_active_administrator_stays
                an_account_is_deleted_by_the_password_that_was_proved
                the_last_administrator_who_may_sign_in_stays
                a_removed_account_takes_its_sessions_and_attempts_along
                accounts_survive_a_restart
            }
            invitations {
                an_invitation_takes_the_place_of_another_for_its_address
                an_invitation_is_used_up_with_the_account_it_makes
                an_invitation_is_kept_if_no_account_is_made
                an_invitation_is_void_to_the_second
                a_bound_invitation_serves_one_address
                a_void_invitation_tells_nothing_of_others
                invitations_are_listed_and_revoked
                the_first_administrators_invitation_is_void_once_there_is_one
                the_first_administrators_invitation_serves_while_none_may_sign_in
                invitations_are_swept
                invitations_survive_a_restart
            }
            sessions {
                a_session_is_kept_and_replaces_another
                a_session_needs_an_account_that_may_sign_in
                touched_sessions_never_go_back_or_come_back
                a_use_that_a_clock_ahead_noted_is_followed_by_others
                uses_that_are_noted_together_are_noted_in_their_order
                sessions_end_by_token_by_id_by_account_and_all
                sessions_are_swept
                sessions_survive_a_restart
                a_session_that_begins_is_noted_on_its_account
            }
            attempts {
                eleven_are_counted_and_then_it_is_locked
                a_lock_is_over_to_the_second_and_attempts_do_not_extend_it
                success_forgets_failures_and_lock
                a_withdrawn_attempt_was_never_counted
                a_withdrawn_attempt_takes_its_lock_along
                a_set_clock_neither_ends_nor_prolongs_a_lock
                a_restart_keeps_what_is_left_of_a_lock
                after_a_restart_a_clock_set_back_gives_no_more_than_a_whole_lock
                after_a_restart_a_set_clock_changes_nothing
                a_shorter_duration_holds_after_a_restart
                failures_survive_a_restart
                subjects_are_counted_apart
                a_removed_account_still_locks
                attempts_at_an_account_that_is_not_there_are_not_its_own
            }
            admin_queries {
                an_account_is_found_by_the_beginning_of_what_it_is_called
                an_account_is_found_by_all_of_a_long_name
                what_an_account_is_found_by_follows_it
                filters_are_combined_and_pages_are_whole
                accounts_are_sorted_and_counted_page_by_page
                a_search_of_many_is_read_by_its_terms_page_by_page
                a_cursor_of_another_query_is_refused
                counts_follow_the_accounts
                accounts_are_found_whose_owners_have_not_signed_in_for_long
                groups_are_listed_with_their_members_counted
                locks_in_force_are_listed
            }
            audit {
                events_are_read_in_both_orders_a_page_at_a_time
                filters_let_through_what_all_of_them_do
                events_of_several_subjects_are_read_as_one
                a_username_finds_events_that_name_it
                an_event_among_very_many_is_found_by_its_request
                the_oldest_go_when_there_are_too_many
                what_is_old_is_pruned
                events_of_many_at_one_moment_are_all_there
            }
            signatures {
                a_signature_is_spent_once_also_after_a_restart
                a_signature_that_is_given_back_can_be_spent
                a_signature_is_forgotten_when_its_time_is_over
                of_many_at_one_moment_one_spends_it
            }
            tokens {
                s19_of_twenty_uses_of_a_token_one_counts
                s19_a_token_serves_its_purpose_alone
                s19_a_token_is_void_to_the_second
                s19_a_newer_token_voids_the_older_of_its_purpose
                s19_a_new_password_or_address_and_disabling_void_all_tokens
                a_reset_ends_sessions_lifts_the_lock_and_proves_a_mailed_address
                an_account_moves_to_the_address_of_the_token_if_it_is_free
                s78_an_account_that_may_not_sign_in_moves_nowhere
                s19_an_account_that_is_gone_gets_no_token
                tokens_go_with_their_account_and_when_they_expire
                tokens_survive_a_restart
                what_was_made_by_a_clock_that_was_ahead_is_forgotten_at_a_start
            }
            mails {
                mails_are_taken_in_their_order_when_they_are_due
                a_mail_that_nobody_comes_back_with_is_taken_again
                a_mail_is_sent_postponed_or_fails_for_good
                of_twenty_takers_each_gets_another_mail
                s23_an_address_is_sent_three_mails_an_hour
                s78_of_twenty_mails_at_one_moment_an_address_is_sent_three
                s78_of_twenty_pending_changes_at_one_moment_the_newest_serves
                a_stamped_mail_has_the_good_token
                s77_a_mail_that_waited_for_another_password_takes_no_link_along
                s77_no_clock_tells_which_of_a_mail_and_a_password_came_first
                s77_links_for_the_password_are_withdrawn_whatever_became_of_their_mails
                a_mail_of_a_clock_that_was_ahead_stands_in_no_ones_way
                s77_a_change_of_the_address_that_was_taken_back_or_replaced_is_void
                a_mailed_invitation_gets_a_new_token
                mails_come_with_what_brings_them_about
                mails_survive_a_restart_and_failed_ones_a_month
                one_that_failed_is_sent_again_once
                one_that_waits_for_later_is_due_when_it_is_wanted_now
            }
            preconditions {
                s76_a_change_is_made_while_its_precondition_holds
                s76_reads_and_upkeep_ask_for_no_precondition
                s76_whoever_was_disabled_or_deleted_changes_nothing
                s76_whoever_was_signed_out_changes_nothing
                s76_whoever_left_the_group_changes_nothing
                s76_whoever_does_not_administer_any_more_by_a_reload_changes_nothing
                s76_a_right_rests_on_an_account_that_is_as_it_was
                s76_a_password_counts_where_what_is_given_administers_by_now
                s77_a_new_password_ends_sessions_and_voids_what_the_old_one_proved
            }
            portable {
                what_is_taken_out_and_put_in_is_taken_out_again_to_the_letter
                whatever_is_in_it_comes_through
                what_was_put_in_works_as_it_did
                an_export_is_of_one_moment
                what_cannot_be_beside_what_is_there_is_refused
                a_store_that_was_not_finished_is_none
                of_names_that_share_a_set_the_oldest_go
            }
            access_keys {
                an_access_key_is_kept_listed_and_revoked
                an_account_has_at_most_so_many_access_keys
                an_access_key_is_switched_off_and_on
                s28_sessions_end_with_the_access_key_that_began_them
                a_touched_access_key_never_goes_back_or_comes_back
                a_removed_account_takes_its_access_keys_along
                an_access_key_locks_whether_or_not_it_exists
                the_data_key_is_replaced_by_whoever_read_it
                access_keys_survive_a_restart
            }
            races {
                of_twenty_signups_with_one_invitation_one_makes_an_account
                of_twenty_signups_with_one_address_one_makes_an_account
                of_twenty_signups_with_one_username_one_makes_an_account
                of_fifty_attempts_eleven_are_counted
                of_twenty_changes_one_is_made
                of_twenty_edits_all_are_made
                of_two_administrators_who_step_down_one_stays
                of_two_accounts_that_want_an_address_one_gets_it
                of_three_who_want_a_username_one_gets_it
                ended_sessions_are_counted_once
                s28_no_session_begins_beside_the_end_of_its_access_key
                of_twenty_access_keys_two_are_made
                of_fifty_attempts_at_an_access_key_eleven_are_counted
                of_twenty_data_keys_one_is_kept
            }
        }
    };
}
pub(crate) use conformance;

/// Makes one test of each function.
macro_rules! each {
    ($harness:ident: $($area:ident { $($test:ident)* })*) => {
        $(mod $area {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::super::conformance::$area::$test::<super::$harness>().await;
            })*
        })*
    };
}
pub(crate) use each;

/// Makes `count` concurrent calls, each in a task of its own.
async fn together<T, F>(count: usize, call: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let start = Arc::new(Barrier::new(count));
    let tasks: Vec<_> = (0..count)
        .map(|n| {
            let (start, call) = (start.clone(), call(n));
            tokio::spawn(async move {
                start.wait().await;
                call.await
            })
        })
        .collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}

/// Asserts that `verify` finds no fault.
async fn assert_sound(store: &Arc<dyn Store>) {
    assert_eq!(store.verify().await.unwrap().faults, Vec::<String>::new());
}
