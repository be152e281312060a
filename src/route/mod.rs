//! Which route a request takes.

mod page;
mod path;
mod table;

pub use page::Page;
pub use table::{Destination, Found, Route, RouteError, Routes};
