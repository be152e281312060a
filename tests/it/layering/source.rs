//! Parses which names and texts the program's source uses, as far as the import law needs it.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::root;

/// A path that code refers to.
pub(super) struct Name {
    /// Whether it is in this crate, rather than in another.
    pub(super) in_crate: bool,
    /// The path from the crate's root or the other crate's name: `store::Store`, `hyper::server`.
    pub(super) path: String,
    /// The module that refers to it.
    pub(super) module: String,
    /// File and line.
    pub(super) place: String,
}

/// A string literal in code.
pub(super) struct Text {
    pub(super) text: String,
    /// File and line.
    pub(super) place: String,
}

/// The paths and texts of all code outside tests.
#[derive(Default)]
pub(super) struct Program {
    pub(super) names: Vec<Name>,
    pub(super) texts: Vec<Text>,
}

/// Parses the program by following `mod` items from the crate's roots, as the compiler does.
pub(super) fn read_program() -> Program {
    let mut program = Program::default();
    let mut files = vec![
        (PathBuf::from("src/lib.rs"), Vec::new()),
        (PathBuf::from("src/main.rs"), module(&["main"])),
    ];
    while let Some((file, here)) = files.pop() {
        let source = fs::read_to_string(root().join(&file)).unwrap();
        let syntax = syn::parse_file(&source).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        read(&syntax, &here, &file.display().to_string(), &mut program);
        for item in &syntax.items {
            if let syn::Item::Mod(item) = item
                && item.content.is_none()
                && !only_for_tests(&item.attrs)
            {
                let name = item.ident.to_string();
                let folder = if ["lib.rs", "main.rs", "mod.rs"]
                    .iter()
                    .any(|root| file.ends_with(root))
                {
                    file.with_file_name("")
                } else {
                    file.with_extension("")
                };
                let candidates = [
                    folder.join(format!("{name}.rs")),
                    folder.join(&name).join("mod.rs"),
                ];
                let found = candidates.into_iter().find(|path| root().join(path).exists());
                let path = found.unwrap_or_else(|| panic!("{}: no file of `mod {name}`", file.display()));
                files.push((path, [here.as_slice(), &[name]].concat()));
            }
        }
    }
    program
}

fn read(file: &syn::File, here: &[String], path: &str, program: &mut Program) {
    let mut reader = Reader {
        file: path,
        here: here.to_vec(),
        children: vec![children(&file.items)],
        program,
    };
    reader.visit_file(file);
}

/// Returns the modules that these items declare; a path that begins with one of them is relative.
fn children(items: &[syn::Item]) -> BTreeSet<String> {
    items
        .iter()
        .filter_map(|item| match item {
            syn::Item::Mod(item) => Some(item.ident.to_string()),
            _ => None,
        })
        .collect()
}

struct Reader<'a> {
    file: &'a str,
    here: Vec<String>,
    children: Vec<BTreeSet<String>>,
    program: &'a mut Program,
}

impl Reader<'_> {
    /// Resolves a path and records it.
    fn note(&mut self, segments: &[String], line: usize) {
        let mut rest = segments;
        let mut base = match rest.first().map(String::as_str) {
            Some("crate" | "vestibule") => {
                rest = &rest[1..];
                Some(Vec::new())
            }
            Some("self" | "super") => Some(self.here.clone()),
            Some(first)
                if self
                    .children
                    .last()
                    .is_some_and(|children| children.contains(first)) =>
            {
                Some(self.here.clone())
            }
            _ => None,
        };
        if let Some(base) = &mut base {
            while let Some(step) = rest.first().filter(|step| *step == "self" || *step == "super") {
                if step == "super" {
                    base.pop();
                }
                rest = &rest[1..];
            }
        }
        let in_crate = base.is_some();
        let path = [base.unwrap_or_default().as_slice(), rest].concat().join("::");
        if !path.is_empty() {
            let module = if self.here.is_empty() {
                "crate".to_owned()
            } else {
                self.here.join("::")
            };
            self.program.names.push(Name {
                in_crate,
                path,
                module,
                place: format!("{}:{line}", self.file),
            });
        }
    }

    fn note_text(&mut self, text: String, line: usize) {
        let place = format!("{}:{line}", self.file);
        self.program.texts.push(Text { text, place });
    }

    fn note_tree(&mut self, tree: &syn::UseTree, mut so_far: Vec<String>) {
        match tree {
            syn::UseTree::Path(path) => {
                so_far.push(path.ident.to_string());
                self.note_tree(&path.tree, so_far);
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.note_tree(tree, so_far.clone());
                }
            }
            syn::UseTree::Glob(_) => self.note(&so_far, tree.span().start().line),
            syn::UseTree::Name(syn::UseName { ident })
            | syn::UseTree::Rename(syn::UseRename { ident, .. }) => {
                if ident != "self" || so_far.is_empty() {
                    so_far.push(ident.to_string());
                }
                self.note(&so_far, ident.span().start().line);
            }
        }
    }

    /// Macros are token streams to the parser; a path in them counts like any other.
    fn note_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let (mut line, mut colons) = (0, 0);
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.note_path_of_tokens(&path, line);
                        path.clear();
                    }
                    if path.is_empty() {
                        line = ident.span().start().line;
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                other => {
                    self.note_path_of_tokens(&path, line);
                    path.clear();
                    colons = 0;
                    match other {
                        TokenTree::Group(group) if !is_documentation(&group) => {
                            self.note_tokens(group.stream());
                        }
                        TokenTree::Literal(literal) => {
                            self.note_text(literal.to_string(), literal.span().start().line);
                        }
                        _ => {}
                    }
                }
            }
        }
        self.note_path_of_tokens(&path, line);
    }

    fn note_path_of_tokens(&mut self, path: &[String], line: usize) {
        if path.len() > 1 {
            self.note(path, line);
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !only_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !only_for_tests(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if let Some((_, items)) = &item.content {
            self.here.push(item.ident.to_string());
            self.children.push(children(items));
            visit::visit_item_mod(self, item);
            self.children.pop();
            self.here.pop();
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.note_tree(&item.tree, Vec::new());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<_> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        if segments.len() > 1 {
            self.note(&segments, path.span().start().line);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.note_tokens(call.tokens.clone());
    }

    fn visit_lit_str(&mut self, text: &'ast syn::LitStr) {
        self.note_text(text.value(), text.span().start().line);
    }

    /// Documentation is not a text of the program.
    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if !attribute.path().is_ident("doc") {
            visit::visit_attribute(self, attribute);
        }
    }

    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}
}

/// Whether a group is the attribute of a documentation comment.
fn is_documentation(group: &Group) -> bool {
    let first = group.stream().into_iter().next();
    group.delimiter() == Delimiter::Bracket && matches!(first, Some(TokenTree::Ident(name)) if name == "doc")
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    use syn::Item;
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether the attributes include `#[cfg(test)]`, or a `cfg` that requires it.
fn only_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| {
                let condition = list.tokens.to_string().replace(' ', "");
                condition == "test" || condition.starts_with("all(test,")
            })
    })
}

fn module(parts: &[&str]) -> Vec<String> {
    parts.iter().map(ToString::to_string).collect()
}

#[test]
fn the_reader_sees_every_way_to_name_something() {
    let source = r#"
        use crate::{a::One, b::{self, Two as Alias}};
        use super::sibling::Three;
        mod near;
        use near::Four;
        #[cfg(test)]
        mod tests { use crate::hidden::Five; }
        #[cfg(all(test, unix))]
        use crate::hidden::Five;
        fn f() -> crate::c::Six { println!("{}", crate::d::seven()); sled::open(); near::eight() }
        pub(in crate::portal) struct S;
        /// not said
        const T: &str = "said";
        kinds! {
            /// not said either
            A => "also said",
        }
        #[cfg(test)]
        const U: &str = "not said";
    "#;
    let mut program = Program::default();
    read(
        &syn::parse_file(source).unwrap(),
        &module(&["portal", "login"]),
        "f.rs",
        &mut program,
    );
    let said: Vec<_> = program.texts.iter().map(|text| text.text.as_str()).collect();
    assert_eq!(said, ["\"{}\"", "said", "\"also said\""]);
    let seen: Vec<_> = program
        .names
        .iter()
        .map(|name| (name.in_crate, name.path.as_str(), name.place.as_str()))
        .collect();
    for expected in [
        (true, "a::One", "f.rs:2"),
        (true, "b", "f.rs:2"),
        (true, "b::Two", "f.rs:2"),
        (true, "portal::sibling::Three", "f.rs:3"),
        (true, "portal::login::near::Four", "f.rs:5"),
        (true, "c::Six", "f.rs:10"),
        (true, "d::seven", "f.rs:10"),
        (false, "sled::open", "f.rs:10"),
        (true, "portal::login::near::eight", "f.rs:10"),
    ] {
        assert!(seen.contains(&expected), "{expected:?} is not in {seen:#?}");
    }
    assert!(
        seen.iter().all(|(_, path, _)| !path.contains("hidden")),
        "{seen:#?}"
    );
}
