//! The methods of a route.

use http::{HeaderValue, Method};

/// Those that are served somewhere: the value of `Allow` where nothing less can be said.
pub const SERVED: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

/// Some methods, or all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Methods(Option<Vec<Method>>);

impl Methods {
    /// All.
    pub const ALL: Self = Self(None);

    /// These; all if there are none.
    pub fn of(methods: Vec<Method>) -> Self {
        Self((!methods.is_empty()).then_some(methods))
    }

    /// Whether the method is one of them.
    pub fn contains(&self, method: &Method) -> bool {
        self.0.as_ref().is_none_or(|methods| methods.contains(method))
    }

    /// Their names; none if they are all that there are.
    pub fn names(&self) -> Vec<&str> {
        self.0.iter().flatten().map(Method::as_str).collect()
    }

    /// Whether a request could be for both.
    pub fn overlap(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => one.iter().any(|method| other.contains(method)),
            _ => true,
        }
    }

    /// The value of `Allow` (RFC 9110, section 10.2.1) where these are all that is served.
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

/// The value of `Allow` for these names.
pub(super) fn allow(names: &[&str]) -> HeaderValue {
    HeaderValue::from_str(&names.join(", ")).unwrap_or_else(|_| HeaderValue::from_static(""))
}
