//! The export file: its format, and the errors of an incomplete one.

use std::fs;

use serde_json::{Value, json};
use vestibule::clock::Clock;
use vestibule::store::sled::SledStore;
use vestibule::store::{ExportReader, ReadError, Record, RecordKind};

use super::conformance::Harness;
use super::full::{file_of, fill, records_of};
use super::samples::noon;
use super::sled::Sled;
use crate::layering::root;

/// One record of each kind, as version 1 of the format was first written. If a test fails, existing files can
/// no longer be read: add another version instead, and keep reading this one.
fn frozen() -> Vec<u8> {
    fs::read(root().join("tests/vectors/export-1.jsonl")).unwrap()
}

#[tokio::test]
async fn version_1_is_read_and_written_as_ever() {
    let file = frozen();
    let records = records_of(&file);
    let kinds: Vec<_> = records.iter().map(Record::kind).collect();
    assert!(RecordKind::ALL.iter().all(|kind| kinds.contains(kind)));

    let folder = tempfile::tempdir().unwrap();
    let (clock, _) = Clock::manual(noon());
    let mut import = SledStore::begin_import(folder.path(), clock.clone()).unwrap();
    import.put(records).await.unwrap();
    import.finish().await.unwrap();
    let store = SledStore::open(folder.path(), clock).unwrap();
    let again = file_of(&store).await;
    assert_eq!(record_lines(&again), record_lines(&file));
}

/// Without the first line, which names the program's version, and the last, which has the checksum.
fn record_lines(file: &[u8]) -> Vec<String> {
    let lines: Vec<_> = String::from_utf8(file.to_vec())
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    lines[1..lines.len() - 1].to_vec()
}

#[tokio::test]
async fn the_first_line_says_what_it_is_and_the_last_what_it_had() {
    let harness = Sled::new();
    fill(&*harness.store(), harness.random()).await;
    let file = String::from_utf8(file_of(&*harness.store()).await).unwrap();
    let lines: Vec<Value> = file
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        lines[0],
        json!({ "vestibule-export": {
            "version": 1,
            "made_at": "2026-05-01T12:00:00Z",
            "gateway": env!("CARGO_PKG_VERSION"),
            "kinds": RecordKind::ALL.map(RecordKind::as_str),
        }})
    );
    let end = &lines.last().unwrap()["end"];
    assert_eq!(end["records"], lines.len() - 2);
    assert_eq!(end["counts"]["account"], 2);
    assert_eq!(end["counts"]["mail"], 15);
    assert_eq!(end["sha256"].as_str().unwrap().len(), 64);
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_noticed() {
    let file = frozen();
    let lines = file.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let borders = lines
        .flat_map(|(at, _)| [at, at + 1])
        .filter(|length| *length < file.len());
    for length in (0..file.len()).step_by(101).chain(borders) {
        assert!(read(&file[..length]).is_err(), "cut off after {length} bytes");
    }
    read(&file).unwrap();
}

#[test]
fn a_file_of_which_anything_was_changed_is_noticed() {
    let file = frozen();
    for (at, byte) in file.iter().enumerate().step_by(101) {
        let mut changed = file.clone();
        changed[at] = if *byte == b'1' { b'2' } else { b'1' };
        assert!(read(&changed).is_err(), "byte {at}");
    }
    let lines: Vec<&[u8]> = file.split_inclusive(|byte| *byte == b'\n').collect();
    for leave_out in 0..lines.len() {
        let fewer = [&lines[..leave_out], &lines[leave_out + 1..]].concat().concat();
        assert!(read(&fewer).is_err(), "without line {}", leave_out + 1);
    }
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let text = String::from_utf8(frozen()).unwrap();
    let cases = [
        (String::new(), "1: there is nothing in it"),
        (
            "{}\n".to_owned(),
            "1: not a file that `vestibule store export` writes",
        ),
        (
            text.replace("\"version\":1", "\"version\":2"),
            "1: the file has version 2, and this program reads version 1: use the program that wrote it, or a later one",
        ),
        (
            text.replace("\"mail\",", "\"mail\",\"passkey\","),
            "1: it was written by version",
        ),
        (
            text.replace("{\"data-key\"", "{\"passkey\""),
            "3: not a record that this version knows: unknown variant",
        ),
        (
            text.replace("\"status\":\"active\"", "\"status\":\"asleep\""),
            "4: not a record",
        ),
        (
            text.replace("\"email_verified\":true,", ""),
            "4: not a record that this version knows: missing field",
        ),
        (
            text.replace("\"email_verified\":true,", "\"email_verified\":true,\"shoe\":1,"),
            "4: not a record",
        ),
        (
            text.replace("\"language\":\"ko\"", "\"language\":\"en\""),
            ": the checksum is wrong",
        ),
        (format!("{text}{text}"), ": something follows the end"),
    ];
    for (file, expected) in cases {
        let error = read(file.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}: {expected}");
    }
}

fn read(file: &[u8]) -> Result<(), ReadError> {
    let mut reader = ExportReader::begin(file)?;
    while reader.record()?.is_some() {}
    Ok(())
}
