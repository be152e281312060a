//! Sets of request methods, and the `Allow` header.

use http::{HeaderValue, Method};

/// All methods that any route may serve: the value of `Allow` for the gateway itself.
pub const SERVED: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

/// A set of methods, or all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Methods(Option<Vec<Method>>);

impl Methods {
    /// All methods.
    pub const ALL: Self = Self(None);

    /// The set of these methods; all if `methods` is empty.
    pub fn of(methods: Vec<Method>) -> Self {
        Self((!methods.is_empty()).then_some(methods))
    }

    /// Whether the set contains the method.
    pub fn contains(&self, method: &Method) -> bool {
        self.0.as_ref().is_none_or(|methods| methods.contains(method))
    }

    /// Returns the names of the methods; empty if the set is all.
    pub fn names(&self) -> Vec<&str> {
        self.0.iter().flatten().map(Method::as_str).collect()
    }

    /// Whether both sets have a method in common.
    pub fn overlap(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => one.iter().any(|method| other.contains(method)),
            _ => true,
        }
    }

    /// Returns the value of `Allow` (RFC 9110, section 10.2.1) for these sets; HEAD comes with GET.
    pub fn allow_header<'m>(all: impl IntoIterator<Item = &'m Self>) -> HeaderValue {
        let mut names = Vec::new();
        for method in all.into_iter().flat_map(|methods| methods.0.iter().flatten()) {
            let with_get = (*method == Method::GET).then_some("HEAD");
            for name in [method.as_str()].into_iter().chain(with_get) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        allow(&names)
    }
}

/// Returns the value of `Allow` for these names.
pub(super) fn allow(names: &[&str]) -> HeaderValue {
    HeaderValue::from_str(&names.join(", ")).unwrap_or_else(|_| HeaderValue::from_static(""))
}
