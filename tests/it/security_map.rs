//! Checks docs/security.md: every number occurs once, and every test it names exists.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::layering::root;

/// The numbers of the security requirements.
const NUMBERS: std::ops::RangeInclusive<u32> = 1..=78;

#[test]
fn every_number_has_one_row_and_every_proof_exists() {
    let page = fs::read_to_string(root().join("docs/security.md")).unwrap();
    let mut rows: BTreeMap<u32, usize> = BTreeMap::new();
    let mut faults = Vec::new();
    for (index, line) in page.lines().enumerate() {
        let Some(row) = SecurityRow::read(line) else {
            continue;
        };
        *rows.entry(row.number).or_default() += 1;
        if row.proofs.is_empty() && !row.proof_column.starts_with("not yet") {
            faults.push(format!(
                "docs/security.md:{}: name a test or say \"not yet\"",
                index + 1
            ));
        }
        for proof in row.proofs {
            if let Err(fault) = exists(proof) {
                faults.push(format!("docs/security.md:{}: {proof}: {fault}", index + 1));
            }
        }
    }
    for number in NUMBERS {
        match rows.remove(&number) {
            Some(1) => {}
            count => faults.push(format!("S{number} has {} rows", count.unwrap_or(0))),
        }
    }
    faults.extend(
        rows.keys()
            .map(|number| format!("S{number} is not a requirement")),
    );
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn a_proof_that_is_not_there_is_noticed() {
    assert_eq!(
        exists("tests/it/security_map.rs#a_proof_that_is_not_there_is_noticed"),
        Ok(())
    );
    assert!(
        exists("tests/it/security_map.rs#exists").is_err(),
        "a function that is no test"
    );
    assert!(
        exists("tests/it/security_map.rs#gone").is_err(),
        "a test that is gone"
    );
    assert!(exists("tests/it/gone.rs#any").is_err(), "a file that is gone");
    assert!(exists("tests/it/security_map.rs").is_err(), "a file alone");
}

/// One row of the table: `| S1 | what must hold | proofs |`, a proof being `` `file#test` ``.
struct SecurityRow<'a> {
    number: u32,
    proof_column: &'a str,
    proofs: Vec<&'a str>,
}

impl<'a> SecurityRow<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let mut cells = line.strip_prefix("| S")?.split(" | ");
        let number = cells.next()?.trim().parse().ok()?;
        let proof_column = cells.last()?.trim().trim_end_matches('|').trim_end();
        let quoted = proof_column.split('`').skip(1).step_by(2);
        Some(Self {
            number,
            proof_column,
            proofs: quoted.filter(|text| text.contains('#')).collect(),
        })
    }
}

/// Whether `file#test` names a test: a function below a test attribute in Rust, a title or function
/// elsewhere.
pub(crate) fn exists(proof: &str) -> Result<(), &'static str> {
    let (file, test) = proof.split_once('#').ok_or("not of the form file#test")?;
    let source = fs::read_to_string(root().join(file)).map_err(|_| "no such file")?;
    let is_rust = Path::new(file)
        .extension()
        .is_some_and(|extension| extension == "rs");
    let found = if is_rust {
        let declaration = format!("fn {test}(");
        let lines: Vec<&str> = source.lines().collect();
        lines.iter().enumerate().any(|(at, line)| {
            line.contains(&declaration)
                && lines[..at]
                    .iter()
                    .rev()
                    .take_while(|above| above.trim_start().starts_with(['#', '/', ')']))
                    .any(|above| above.trim_start().starts_with("#[") && above.contains("test"))
        })
    } else {
        source.contains(&format!("def {test}(")) || source.contains(&format!("\"{test}\""))
    };
    if found { Ok(()) } else { Err("no such test") }
}
