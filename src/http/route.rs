//! Which call a path is, the URL beside each.

use crate::agora::provisioning::path_id;
use crate::agora::reply::{Refusal, Reply, StatusForm};
use crate::agora::request;
use crate::billing::id::{CustomerId, ProjectId};

/// A call of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Call {
    /// `GET /usage`
    Usage,
    /// `GET /bill`
    Bill,
    /// `GET /customers/{customerId}/license`
    License,
    /// `GET /healthz`, unsigned
    Health,
    /// Those that change the books.
    Provisioning(Provisioning),
}

/// A call that changes the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Provisioning {
    /// `POST /customers/new`
    CreateCustomer,
    /// `POST /customers/{customerId}/projects/new`
    CreateProject,
    /// `PUT /customers/{customerId}/deactivate`
    DeactivateCustomer,
    /// `PUT /customers/{customerId}/projects/{projectId}/deactivate`
    DeactivateProject,
    /// `PUT /license/customers/{customerId}/activate`, and POST: Agora's pages have both
    ActivateLicense,
}

/// The paths of the calls. What stands in braces is an id: any segment that is not empty. Agora
/// prints the paths of its deactivations with a doubled slash.
const PATHS: [(&str, Call); 11] = [
    ("/usage", Call::Usage),
    ("/bill", Call::Bill),
    ("/customers/{customerId}/license", Call::License),
    ("/healthz", Call::Health),
    ("/customers/new", Call::Provisioning(Provisioning::CreateCustomer)),
    ("/customers/{customerId}/projects/new", Call::Provisioning(Provisioning::CreateProject)),
    ("/customers/{customerId}/deactivate", Call::Provisioning(Provisioning::DeactivateCustomer)),
    ("//customers/{customerId}/deactivate", Call::Provisioning(Provisioning::DeactivateCustomer)),
    (
        "/customers/{customerId}/projects/{projectId}/deactivate",
        Call::Provisioning(Provisioning::DeactivateProject),
    ),
    (
        "//customers/{customerId}/projects/{projectId}/deactivate",
        Call::Provisioning(Provisioning::DeactivateProject),
    ),
    ("/license/customers/{customerId}/activate", Call::Provisioning(Provisioning::ActivateLicense)),
];

/// The endpoints that Agora calls, by method and path: of several ways to write one, the first.
pub fn signed_endpoints() -> impl Iterator<Item = (&'static str, &'static str)> {
    let signed =
        PATHS.iter().filter(|(path, call)| *call != Call::Health && !path.starts_with("//"));
    signed.map(|(path, call)| {
        let methods = call.methods();
        (methods.split(", HEAD").next().unwrap_or(methods), *path)
    })
}

/// The customer's and the project's segment of a path that has this form; empty where it has none.
fn matched<'a>(form: &str, path: &'a str) -> Option<[&'a str; 2]> {
    let (mut wanted, mut segments) = (form.split('/'), path.split('/'));
    let mut ids = [""; 2];
    loop {
        let (wanted, segment) = match (wanted.next(), segments.next()) {
            (Some(wanted), Some(segment)) => (wanted, segment),
            (None, None) => return Some(ids),
            (Some(_), None) | (None, Some(_)) => return None,
        };
        match wanted {
            "{customerId}" if !segment.is_empty() => ids[0] = segment,
            "{projectId}" if !segment.is_empty() => ids[1] = segment,
            _ if wanted == segment => {}
            _ => return None,
        }
    }
}

/// A path that is a call's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route<'a> {
    /// The call.
    pub call: Call,
    /// The customer's segment of the path, as sent; empty where the call has none.
    customer: &'a str,
    /// The same of the project's.
    project: &'a str,
}

/// The ids in a path, decoded and not checked yet; empty where the call has none.
pub(super) struct Ids {
    customer: String,
    project: String,
}

/// A path and method that are no call's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unrouted {
    pub refusal: Refusal,
    pub form: StatusForm,
}

impl Unrouted {
    pub(super) fn reply(&self) -> Reply {
        self.refusal.reply(self.form)
    }
}

impl Call {
    fn form(self) -> StatusForm {
        match self {
            Self::Usage | Self::Bill => StatusForm::Listing,
            Self::License | Self::Health | Self::Provisioning(_) => StatusForm::Word,
        }
    }

    /// The methods that its path has, as in the header `Allow`. HEAD is GET without the body, and
    /// is signed as HEAD.
    fn methods(self) -> &'static str {
        match self {
            Self::Usage | Self::Bill | Self::License | Self::Health => "GET, HEAD",
            Self::Provisioning(Provisioning::CreateCustomer | Provisioning::CreateProject) => {
                "POST"
            }
            Self::Provisioning(
                Provisioning::DeactivateCustomer | Provisioning::DeactivateProject,
            ) => "PUT",
            Self::Provisioning(Provisioning::ActivateLicense) => "POST, PUT",
        }
    }
}

impl Route<'_> {
    /// The form in which the call's refusals are told.
    pub(super) fn form(&self) -> StatusForm {
        self.call.form()
    }

    /// Tells whether the call has a body that says what is wanted.
    pub(super) fn has_body(&self) -> bool {
        matches!(self.call, Call::Provisioning(_))
    }

    /// Tells whether the call has to be signed.
    pub(super) fn is_signed(&self) -> bool {
        self.call != Call::Health
    }

    /// The ids in the path, decoded.
    pub(super) fn ids(&self) -> Result<Ids, request::Error> {
        Ok(Ids {
            customer: request::decode_segment(self.customer, "customerId")?,
            project: request::decode_segment(self.project, "projectId")?,
        })
    }
}

impl Ids {
    /// The customer's id.
    pub(super) fn customer_id(&self) -> Result<CustomerId, request::Error> {
        path_id(&self.customer, "customerId")
    }

    /// The project's id.
    pub(super) fn project_id(&self) -> Result<ProjectId, request::Error> {
        path_id(&self.project, "projectId")
    }
}

/// The path that a server is mounted under: empty, or `/` and segments without a `/` at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BasePath(String);

impl std::fmt::Display for BasePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

impl std::str::FromStr for BasePath {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let path = text.trim_end_matches('/');
        let plain = |b: u8| b.is_ascii_graphic() && !b"?#%".contains(&b);
        if path.is_empty() || (path.starts_with('/') && path.bytes().all(plain)) {
            Ok(Self(path.to_owned()))
        } else {
            Err("it must be a path such as /agora, which starts with / and has no space, ?, # or %")
        }
    }
}

impl BasePath {
    /// Finds the call that a method and a path are.
    pub(super) fn find<'a>(&self, method: &str, path: &'a str) -> Result<Route<'a>, Unrouted> {
        let unknown = || Unrouted { refusal: Refusal::UnknownPath, form: StatusForm::Word };
        let path = path.strip_prefix(self.0.as_str()).ok_or_else(unknown)?;
        let (call, customer, project) = PATHS
            .iter()
            .find_map(|(form, call)| {
                let [customer, project] = matched(form, path)?;
                Some((*call, customer, project))
            })
            .ok_or_else(unknown)?;
        if call.methods().split(", ").any(|has| has == method) {
            Ok(Route { call, customer, project })
        } else {
            let refusal = Refusal::WrongMethod { allow: call.methods() };
            Err(Unrouted { refusal, form: call.form() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_provisioning_call_has_its_method_and_path() {
        use Provisioning::{
            ActivateLicense, CreateCustomer, CreateProject, DeactivateCustomer, DeactivateProject,
        };
        let found = |method, path| {
            let route = BasePath::default()
                .find(method, path)
                .map_err(|unrouted| unrouted.refusal.status())?;
            Ok((route.call, route.customer, route.project))
        };
        for (method, path, call, ids) in [
            ("POST", "/customers/new", CreateCustomer, ("", "")),
            ("POST", "/customers/12/projects/new", CreateProject, ("12", "")),
            ("PUT", "/customers/12/deactivate", DeactivateCustomer, ("12", "")),
            ("PUT", "//customers/12/deactivate", DeactivateCustomer, ("12", "")),
            ("PUT", "/customers/12/projects/34/deactivate", DeactivateProject, ("12", "34")),
            ("PUT", "//customers/12/projects/34/deactivate", DeactivateProject, ("12", "34")),
            ("PUT", "/license/customers/12/activate", ActivateLicense, ("12", "")),
            ("POST", "/license/customers/12/activate", ActivateLicense, ("12", "")),
        ] {
            assert_eq!(found(method, path), Ok((Call::Provisioning(call), ids.0, ids.1)), "{path}");
            assert_eq!(found("GET", path), Err(405), "{path}");
        }
        for path in [
            "//customers/new",
            "///customers/12/deactivate",
            "/customers//deactivate",
            "/customers/12/projects//deactivate",
            "/customers/12/projects/34/deactivate/",
            "/license/customers/12/activate/x",
            "/customers/12/projects",
        ] {
            assert_eq!(found("PUT", path), Err(404), "{path}");
        }
    }

    fn found<'a>(base: &str, method: &str, path: &'a str) -> Result<(Call, &'a str), u16> {
        let base: BasePath = base.parse().expect("a base path");
        base.find(method, path)
            .map(|route| (route.call, route.customer))
            .map_err(|e| e.refusal.status())
    }

    #[test]
    fn every_call_has_its_path_and_no_other() {
        for (path, call) in [
            ("/usage", Ok((Call::Usage, ""))),
            ("/bill", Ok((Call::Bill, ""))),
            ("/customers/12/license", Ok((Call::License, "12"))),
            ("/customers/a%2Fb/license", Ok((Call::License, "a%2Fb"))),
            ("/healthz", Ok((Call::Health, ""))),
            ("/", Err(404)),
            ("", Err(404)),
            ("*", Err(404)),
            ("/usage/", Err(404)),
            ("//usage", Err(404)),
            ("/Usage", Err(404)),
            ("/%75sage", Err(404)),
            ("/customers//license", Err(404)),
            ("/customers/12", Err(404)),
            ("/customers/12/license/", Err(404)),
            ("/customers/12/license/x/y", Err(404)),
        ] {
            assert_eq!(found("", "GET", path), call, "{path}");
        }
    }

    #[test]
    fn a_path_is_looked_at_before_the_method() {
        assert_eq!(found("", "POST", "/usage"), Err(405));
        assert_eq!(found("", "get", "/usage"), Err(405));
        assert_eq!(found("", "POST", "/nowhere"), Err(404));
    }

    #[test]
    fn a_base_path_stands_before_every_call() {
        assert_eq!(found("/agora", "GET", "/agora/usage"), Ok((Call::Usage, "")));
        assert_eq!(found("/agora/", "GET", "/agora/usage"), Ok((Call::Usage, "")));
        assert_eq!(found("/agora", "GET", "/usage"), Err(404));
        assert_eq!(found("/agora", "GET", "/agorausage"), Err(404));
        for bad in ["agora", "/a b", "/a?b", "/a%20b"] {
            assert!(bad.parse::<BasePath>().is_err(), "{bad}");
        }
    }
}
