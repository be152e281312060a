//! The embedded store, as every store must be.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use tempfile::TempDir;
use vestibule::clock::{Clock, ManualClock};
use vestibule::random::Random;
use vestibule::store::sled::SledStore;
use vestibule::store::{Import, Store};

use super::conformance::{Harness, Open, conformance};
use super::samples::noon;

/// A sled store in a temporary folder.
pub(crate) struct Sled {
    folder: TempDir,
    store: Arc<SledStore>,
    hand: ManualClock,
    random: Random,
}

impl Sled {
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Closes the store; its folder remains.
    pub(crate) fn close(self) -> TempDir {
        Arc::into_inner(self.store).unwrap().close();
        self.folder
    }

    /// The store that is in a folder already.
    pub(crate) fn open(folder: TempDir, wall: Timestamp, random: Random) -> Self {
        let (clock, hand) = Clock::manual(wall);
        Self {
            store: Arc::new(SledStore::open(folder.path(), clock).unwrap()),
            folder,
            hand,
            random,
        }
    }
}

impl Harness for Sled {
    fn new() -> Self {
        Self::open(tempfile::tempdir().unwrap(), noon(), Random::seeded(1))
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    fn hand(&self) -> &ManualClock {
        &self.hand
    }

    fn restart(self, wall: Timestamp) -> Self {
        let random = self.random.clone();
        Self::open(self.close(), wall, random)
    }

    fn fill() -> (Box<dyn Import>, Open<Self>) {
        let folder = tempfile::tempdir().unwrap();
        let (clock, _) = Clock::manual(noon());
        let import = SledStore::begin_import(folder.path(), clock).unwrap();
        (
            import,
            Box::new(|wall| Self::open(folder, wall, Random::seeded(1))),
        )
    }

    fn random(&self) -> &Random {
        &self.random
    }
}

conformance! { Sled:
    accounts {
        an_account_is_found_by_id_address_and_username
        an_address_serves_one_account_in_any_case
        a_username_is_never_given_again
        accounts_come_in_the_order_they_were_made
        a_group_has_members_while_somebody_is_in_it
        a_change_replaces_the_account_that_was_read
        a_change_moves_the_address
        a_change_of_case_is_a_change
        a_change_cannot_take_an_address
        an_account_keeps_the_usernames_that_it_had
        the_last_active_administrator_stays
        a_removed_account_takes_its_sessions_and_attempts_along
        accounts_survive_a_restart
    }
    invitations {
        an_invitation_is_used_up_with_the_account_it_makes
        an_invitation_is_kept_if_no_account_is_made
        an_invitation_is_void_to_the_second
        a_bound_invitation_serves_one_address
        a_void_invitation_tells_nothing_of_others
        invitations_are_listed_and_revoked
        invitations_are_swept
        invitations_survive_a_restart
    }
    sessions {
        a_session_is_kept_and_replaces_another
        a_session_needs_an_account_that_may_sign_in
        touched_sessions_never_go_back_or_come_back
        sessions_end_by_token_by_id_by_account_and_all
        sessions_are_swept
        sessions_survive_a_restart
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
    }
    inspection {
        an_account_is_found_by_the_beginning_of_what_it_is_called
        what_an_account_is_found_by_follows_it
        filters_are_combined_and_pages_are_whole
        locks_in_force_are_listed
    }
    audit {
        events_are_read_in_both_orders_a_page_at_a_time
        filters_let_through_what_all_of_them_do
        events_of_several_subjects_are_read_as_one
        a_username_finds_events_that_name_it
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
        s19_a_new_password_or_address_voids_all_tokens
        a_reset_ends_sessions_lifts_the_lock_and_proves_a_mailed_address
        an_account_moves_to_the_address_of_the_token_if_it_is_free
        tokens_go_with_their_account_and_when_they_expire
        tokens_survive_a_restart
    }
    mails {
        mails_are_taken_in_their_order_when_they_are_due
        a_mail_that_nobody_comes_back_with_is_taken_again
        a_mail_is_sent_postponed_or_fails_for_good
        of_twenty_takers_each_gets_another_mail
        s23_an_address_is_sent_three_mails_an_hour
        a_stamped_mail_has_the_good_token
        a_mailed_invitation_gets_a_new_token
        mails_come_with_what_brings_them_about
        mails_survive_a_restart_and_failed_ones_a_month
        one_that_failed_is_sent_again_once
    }
    portable {
        what_is_taken_out_and_put_in_is_taken_out_again_to_the_letter
        whatever_is_in_it_comes_through
        what_was_put_in_works_as_it_did
        an_export_is_of_one_moment
        what_cannot_be_beside_what_is_there_is_refused
        a_store_that_was_not_finished_is_none
    }
    access_keys {
        an_access_key_is_kept_listed_and_revoked
        an_account_has_at_most_so_many_access_keys
        an_access_key_is_switched_off_and_on
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
        of_two_administrators_who_step_down_one_stays
        of_two_accounts_that_want_an_address_one_gets_it
        of_three_who_want_a_username_one_gets_it
        ended_sessions_are_counted_once
        of_twenty_access_keys_two_are_made
        of_fifty_attempts_at_an_access_key_eleven_are_counted
        of_twenty_data_keys_one_is_kept
    }
}
