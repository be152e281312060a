//! Routes with `compat`, and routes that conflict with them.

use super::{errors, warnings, with};

const COMPAT: &str = "compat = \"backend.ai\"\n";

fn beside(other: &str) -> String {
    with("") + COMPAT + "[[route]]\nupstream = \"demo:\"\n" + other
}

#[test]
fn a_route_has_it_or_not() {
    assert_eq!(errors(&(with("") + COMPAT)), [""; 0]);
    assert_eq!(warnings(&(with("") + COMPAT)), [""; 0]);
    let errors = errors(&(with("") + "compat = \"backendai\""));
    assert_eq!(errors.len(), 1);
    assert!(errors[0].contains(": route[0].compat: "), "{errors:?}");
    let warnings = warnings(&(with("") + COMPAT + "allow = \"public\""));
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].contains(": route[0].compat: says nothing"),
        "{warnings:?}"
    );
}

#[test]
fn what_belongs_to_the_session_form_is_no_other_routes() {
    for path in [
        "/server",
        "/server/login",
        "/server/x",
        "/func",
        "/func/",
        "/func/admin",
    ] {
        for compat in ["", COMPAT] {
            let errors = errors(&beside(&format!("path = \"{path}\"\n{compat}")));
            assert_eq!(errors.len(), 1, "{path}: {errors:?}");
            assert!(
                errors[0].contains(": route[1].path: ") && errors[0].contains("belongs to route[0]"),
                "{errors:?}"
            );
        }
    }
    for rest in [
        "path = \"/servers\"",
        "path = \"/function\"",
        "host = \"a.localhost\"\npath = \"/func\"",
    ] {
        assert_eq!(errors(&beside(rest)), [""; 0], "{rest}");
    }
}

#[test]
fn routes_of_one_path_agree() {
    let one = "[[route]]\nupstream = \"demo:\"\nmethods = [\"GET\"]\n";
    let other = "[[route]]\nupstream = \"demo:\"\nmethods = [\"POST\"]\n";
    let errors_of = |text: String| errors(&text);
    assert_eq!(errors_of(format!("{one}{COMPAT}{other}{COMPAT}")), [""; 0]);
    for text in [format!("{one}{COMPAT}{other}"), format!("{one}{other}{COMPAT}")] {
        let errors = errors_of(text);
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(
            errors[0].contains("write it for both, or for neither"),
            "{errors:?}"
        );
    }
}

#[test]
fn routes_that_the_session_form_does_not_reach_are_said() {
    let warned = warnings(&beside("path = \"/admin\""));
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(
        warned[0].contains(": route[1].path: ") && warned[0].contains("`/func/admin`"),
        "{warned:?}"
    );
    assert_eq!(
        warnings(&beside("host = \"a.localhost\"\npath = \"/admin\"")),
        [""; 0]
    );
}
