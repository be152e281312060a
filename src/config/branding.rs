//! The `[branding]` section: name, logo, colour, templates and texts of the pages.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// What the pages look like.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BrandingConfig {
    /// The name that the pages show.
    pub name: String,
    /// A logo, as an SVG or PNG file of at most 64 KiB; "" for none.
    pub logo: PathBuf,
    /// The colour of buttons and links, as `#rrggbb`; "" for the built-in one.
    pub accent: String,
    /// Whom to ask, shown where the answer is "ask the administrator": an e-mail address, a URL or a sentence.
    pub contact: String,
    /// A folder whose files change the pages; "" for none. `<name>.html` takes the place of the built-in template of
    /// that name; `<language>.toml` changes sentences of a language or adds one.
    pub folder: PathBuf,
    /// Links at the foot of every page: `[{ text = "Help", url = "/help" }]`.
    #[schemars(extend("default" = []))]
    pub links: Vec<Link>,
}

impl Default for BrandingConfig {
    fn default() -> Self {
        Self {
            name: "Vestibule".to_owned(),
            logo: PathBuf::new(),
            accent: String::new(),
            contact: String::new(),
            folder: PathBuf::new(),
            links: Vec::new(),
        }
    }
}

/// A link at the foot of every page.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// What it says.
    pub text: String,
    /// Where it leads.
    pub url: String,
}
