//! Which route a request takes.

mod page;

pub use page::Page;
