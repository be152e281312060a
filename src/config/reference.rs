//! Generates the JSON Schema and the reference file from the doc comments of all keys.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use serde_json::{Map, Value};

use super::Config;

/// Line width of the reference, in characters.
const WIDTH: usize = 110;

/// Returns the JSON Schema of the configuration (draft 2020-12).
pub fn schema() -> String {
    let mut text = format!("{:#}", schema_value());
    text.push('\n');
    text
}

/// Returns the reference: every key with its documentation and default, as a file that changes nothing. Keys
/// without a default are commented out: `#key = example`.
pub fn reference() -> String {
    let schema = schema_value();
    let mut writer = ReferenceWriter {
        definitions: &schema["$defs"],
        text: String::new(),
    };
    writer.comment(
        "Every key of the configuration, with its default. Generated: `vestibule schema --reference`.",
    );
    writer.comment(
        "Durations (\"20m\") and sizes (\"10MiB\") are strings. Any secret, and `store.url` and `mail.url`, is a string, \
         `{ file = \"…\" }` or `{ env = \"…\" }`. Paths are relative to the folder of \
         the file, or to its parent where that folder is called `config`.",
    );
    writer.text.push('\n');
    for (name, property) in entries(&schema["properties"]) {
        writer.root(name, property);
    }
    format!("{}\n", writer.text.trim_end())
}

fn schema_value() -> Value {
    SchemaSettings::default()
        .with_transform(RecursiveTransform(drop_null_default))
        .into_generator()
        .into_root_schema_for::<Config>()
        .to_value()
}

/// Drops null defaults: TOML has no null, and these keys have no default.
fn drop_null_default(schema: &mut Schema) {
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
}

struct ReferenceWriter<'s> {
    definitions: &'s Value,
    text: String,
}

impl<'s> ReferenceWriter<'s> {
    fn root(&mut self, name: &str, property: &'s Value) {
        let definition = self.definition(property);
        if definition.get("properties").is_some() {
            self.section(&format!("[{name}]"), property, definition, Settled::Yes);
        } else if let Some(of) = property.get("additionalProperties").filter(|of| of.is_object()) {
            self.section(
                &format!("#[{name}.console]"),
                property,
                self.definition(of),
                Settled::No,
            );
        } else if let Some(of) = property.get("items").filter(|of| of.get("$ref").is_some()) {
            self.section(
                &format!("#[[{name}]]"),
                property,
                self.definition(of),
                Settled::No,
            );
        } else {
            self.key(name, property, Settled::Yes);
            self.text.push('\n');
        }
    }

    fn section(&mut self, header: &str, property: &'s Value, definition: &'s Value, settled: Settled) {
        self.comment(description(property));
        self.text.push_str(header);
        self.text.push('\n');
        for (name, property) in entries(&definition["properties"]) {
            self.key(name, property, settled);
        }
        self.text.push('\n');
    }

    fn key(&mut self, name: &str, property: &'s Value, settled: Settled) {
        if property.get("not").is_some() {
            return self.comment(&format!("`{name}`: {}", description(property)));
        }
        self.comment(description(property));
        self.choices(property);
        let default = property.get("default");
        let example = property.get("examples").map(|examples| &examples[0]);
        let (value, is_default) = match (settled, default, example) {
            (Settled::Yes, Some(default), _) => (default, true),
            (_, _, Some(example)) => (example, false),
            (Settled::No, Some(default), None) => (default, false),
            _ => return,
        };
        let mark = if is_default { "" } else { "#" };
        for part in [mark, name, " = ", &toml(value), "\n"] {
            self.text.push_str(part);
        }
    }

    /// Writes the documented values of an enumeration.
    fn choices(&mut self, property: &'s Value) {
        for choice in self.definition(property)["oneOf"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let about = description(choice);
            match choice.get("const") {
                Some(value) => self.comment(&format!("- {}: {about}", toml(value))),
                None => self.comment(&format!("- {about}")),
            }
        }
    }

    /// Resolves the reference of a property, also through `Option`.
    fn definition(&self, property: &'s Value) -> &'s Value {
        let reference = property
            .get("$ref")
            .or_else(|| property["anyOf"].as_array()?.iter().find_map(|of| of.get("$ref")));
        match reference
            .and_then(Value::as_str)
            .and_then(|path| path.rsplit_once('/'))
        {
            Some((_, name)) => &self.definitions[name],
            None => property,
        }
    }

    fn comment(&mut self, text: &str) {
        let mut line = String::from("#");
        for word in text.split_whitespace() {
            if line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.text.push_str(&line);
                self.text.push('\n');
                line = String::from("#");
            }
            line.push(' ');
            line.push_str(word);
        }
        self.text.push_str(&line);
        self.text.push('\n');
    }
}

/// Whether a section is written out or commented out as an example.
#[derive(Clone, Copy)]
enum Settled {
    Yes,
    No,
}

fn entries(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flat_map(Map::iter)
}

fn description(schema: &Value) -> &str {
    schema["description"].as_str().unwrap_or_default()
}

fn toml(value: &Value) -> String {
    match value {
        Value::Array(elements) => {
            let elements: Vec<_> = elements.iter().map(toml).collect();
            format!("[{}]", elements.join(", "))
        }
        Value::Object(members) if members.is_empty() => "{}".to_owned(),
        Value::Object(members) => {
            let members: Vec<_> = members
                .iter()
                .map(|(key, value)| format!("{key} = {}", toml(value)))
                .collect();
            format!("{{ {} }}", members.join(", "))
        }
        // JSON scalars are valid TOML, strings included.
        scalar => scalar.to_string(),
    }
}
