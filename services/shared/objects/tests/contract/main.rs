//! One suite for every object store: what the trait promises, each store must keep.
#![allow(clippy::unwrap_used)]

mod places;
mod suite;

/// Runs every test of the suite on every store.
macro_rules! contract {
    ($($(#[$doc:meta])* $test:ident),+ $(,)?) => {
        mod directory {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                let place = crate::places::Directory::new();
                crate::suite::$test(place.open().await).await;
            })+
        }
        mod s3 {
            $(#[tokio::test(flavor = "multi_thread")]
            #[ignore = "needs S3: make test starts it"]
            async fn $test() {
                crate::suite::$test(crate::places::S3::new().await.open().await).await;
            })+
        }
    };
}

contract!(
    a_created_object_reads_back,
    the_first_writer_stays_and_the_second_is_told,
    of_sixteen_writers_one_wins_and_all_read_its_bytes,
    of_eight_writers_for_each_of_twenty_keys_one_wins,
    racing_settlers_all_get_the_same_bytes,
    what_is_not_there_is_none,
    ranges_end_where_the_object_ends,
    listings_are_ordered_bounded_and_by_any_prefix,
    listings_go_past_a_thousand_objects,
    a_deleted_object_is_gone_and_may_be_created_again,
    objects_of_every_size_come_back_whole,
    too_large_an_object_is_refused_with_its_numbers,
    keys_outside_the_alphabet_are_refused,
    documents_with_odd_ids_each_keep_their_own_result,
    tenants_see_only_their_own_results,
    a_body_comes_back_by_its_reference,
    a_body_that_is_not_there_is_missing,
    a_body_that_was_changed_is_refused,
    a_body_longer_or_shorter_than_stated_is_refused,
    a_body_over_the_limit_is_refused_before_it_is_read,
    a_reference_out_of_the_tenants_bodies_is_refused,
    the_probe_passes_and_leaves_nothing_behind,
);
