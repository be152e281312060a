//! The summary above a form of what is wrong with it.

use std::collections::BTreeMap;

use serde::Serialize;

/// Messages by field.
pub(super) type Errors = BTreeMap<&'static str, String>;

/// What stands above the form.
#[derive(Debug, Serialize)]
pub(super) struct ErrorSummary {
    title: String,
    text: String,
    errors: Vec<ErrorSummaryItem>,
}

#[derive(Debug, Serialize)]
struct ErrorSummaryItem {
    field: &'static str,
    message: String,
}

impl ErrorSummary {
    /// One thing is wrong with the whole.
    pub(super) fn about(title: &str, text: String) -> Self {
        Self {
            title: title.to_owned(),
            text,
            errors: Vec::new(),
        }
    }

    /// Fields are wrong; in the order in which the form has them.
    pub(super) fn listing(title: &str, errors: &Errors, order: &[&'static str]) -> Self {
        let entry = |field: &&'static str| {
            errors.get(field).map(|message| ErrorSummaryItem {
                field,
                message: message.clone(),
            })
        };
        Self {
            title: title.to_owned(),
            text: String::new(),
            errors: order.iter().filter_map(entry).collect(),
        }
    }
}
