#[cfg(not(feature = "chaos"))]
#[test]
fn no_rule_can_be_broken_in_a_normal_build() {
    use crate::{Sabotage, sabotaged};
    // At compile time: nothing that a process finds when it runs can change it.
    const {
        let mut index = 0;
        while index < Sabotage::ALL.len() {
            assert!(!sabotaged(Sabotage::ALL[index]));
            index += 1;
        }
    }
}

#[cfg(feature = "chaos")]
mod on {
    use crate::switch::check_names;
    use crate::{Point, Sabotage, pass, sabotaged};

    #[test]
    fn a_rule_is_broken_as_long_as_its_control_is_set() {
        let scenario = fail::FailScenario::setup();
        assert!(!sabotaged(Sabotage::PlainPut));
        fail::cfg(Sabotage::PlainPut.name(), "1*return->off").expect("an action of the crate's own examples");
        assert!(sabotaged(Sabotage::PlainPut));
        assert!(!sabotaged(Sabotage::PlainPut));
        scenario.teardown();
    }

    #[test]
    fn a_point_that_is_not_set_lets_everyone_pass() {
        for point in Point::ALL {
            pass(point);
        }
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        assert_eq!(check_names(" before_commit=1%return; control_plain_put=return;"), Ok(()));
        assert!(check_names("before_comit=return").is_err());
    }
}
