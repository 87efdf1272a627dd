//! The parts of a configuration.

use crate::address::{Mode, ModuleAddress};
use crate::syntax::{Body, Expr, Pos};
use crate::value::{Type, Value};
use indexmap::IndexMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Names of calls from the root to a module.
pub type ModulePath = Vec<Arc<str>>;

/// A whole configuration: the root module and everything it calls.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    /// Folder of the root module as given.
    pub folder: String,
    /// Modules by the calls that lead to them; the root has an empty path.
    pub modules: BTreeMap<ModulePath, Arc<Module>>,
    /// The root module.
    pub root: Arc<Module>,
}

impl Configuration {
    /// The module of an instance.
    pub fn module(&self, address: &ModuleAddress) -> Option<&Module> {
        if address.is_root() { Some(&self.root) } else { self.modules.get(&address.path()).map(Arc::as_ref) }
    }

    /// Every resource and data source with the path of its module.
    pub fn resources(&self) -> impl Iterator<Item = (&ModulePath, &Resource)> {
        self.modules.iter().flat_map(|(path, module)| module.resources.values().map(move |r| (path, r)))
    }
}

/// Which resource of a module: mode, type and name.
pub type ResourceKey = (Mode, Arc<str>, Arc<str>);

/// One module: the files of one folder.
#[derive(Clone, Debug, Default)]
pub struct Module {
    /// Calls that lead to it.
    pub path: ModulePath,
    /// Its folder, relative to where the root was given.
    pub folder: Arc<str>,
    /// Files that were read, in order.
    pub files: Vec<Arc<str>>,
    /// Inputs.
    pub variables: IndexMap<Arc<str>, Variable>,
    /// Named values.
    pub locals: IndexMap<Arc<str>, Local>,
    /// Outputs.
    pub outputs: IndexMap<Arc<str>, Output>,
    /// Resources and data sources.
    pub resources: IndexMap<ResourceKey, Resource>,
    /// Calls of other modules.
    pub calls: IndexMap<Arc<str>, ModuleCall>,
    /// Provider configurations by name and alias.
    pub providers: IndexMap<(Arc<str>, Option<Arc<str>>), Provider>,
    /// `moved` blocks.
    pub moved: Vec<Moved>,
    /// `removed` blocks.
    pub removed: Vec<Removed>,
    /// `import` blocks.
    pub imports: Vec<Import>,
    /// `check` blocks.
    pub checks: Vec<Check>,
    /// `terraform` blocks.
    pub settings: Settings,
}

impl Module {
    /// A resource or data source.
    pub fn resource(&self, mode: Mode, kind: &str, name: &str) -> Option<&Resource> {
        self.resources.get(&(mode, Arc::from(kind), Arc::from(name)))
    }
}

/// An input of a module.
#[derive(Clone, Debug)]
pub struct Variable {
    /// Name.
    pub name: Arc<str>,
    /// What it is for.
    pub description: Option<String>,
    /// Constraint; `None` when none is written.
    pub ty: Option<Type>,
    /// Constraint as written.
    pub type_text: Option<String>,
    /// Value when none is given, converted to the type.
    pub default: Option<Value>,
    /// Whether its value must not be shown.
    pub sensitive: bool,
    /// Whether it may be null.
    pub nullable: bool,
    /// Whether it is never stored.
    pub ephemeral: bool,
    /// Rules its value must obey.
    pub validations: Vec<Rule>,
    /// Where it is declared.
    pub pos: Pos,
}

/// A named value.
#[derive(Clone, Debug)]
pub struct Local {
    /// Name.
    pub name: Arc<str>,
    /// Value.
    pub expr: Expr,
    /// Where the name stands.
    pub pos: Pos,
}

/// An output of a module.
#[derive(Clone, Debug)]
pub struct Output {
    /// Name.
    pub name: Arc<str>,
    /// What it is for.
    pub description: Option<String>,
    /// Value.
    pub expr: Expr,
    /// Whether it must not be shown.
    pub sensitive: bool,
    /// Whether it is never stored.
    pub ephemeral: bool,
    /// What must be done before.
    pub depends_on: Vec<Expr>,
    /// Rules that must hold.
    pub preconditions: Vec<Rule>,
    /// Where it is declared.
    pub pos: Pos,
}

/// A resource or data source.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Managed or data.
    pub mode: Mode,
    /// Type, `aws_instance`.
    pub kind: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// Arguments and blocks of the provider's own.
    pub body: Body,
    /// How often.
    pub count: Option<Expr>,
    /// For what.
    pub for_each: Option<Expr>,
    /// Provider configuration, when one is named.
    pub provider: Option<ProviderRef>,
    /// What must be done before, references.
    pub depends_on: Vec<Expr>,
    /// Life cycle rules.
    pub lifecycle: Lifecycle,
    /// Provisioners in order.
    pub provisioners: Vec<Provisioner>,
    /// How provisioners connect.
    pub connection: Option<Body>,
    /// Where the block begins.
    pub pos: Pos,
    /// Its last line.
    pub end_line: u32,
}

impl Resource {
    /// Local name of its provider: as named, else the type up to the first `_`.
    pub fn provider_name(&self) -> &str {
        self.provider.as_ref().map_or_else(|| self.kind.split('_').next().unwrap_or(&self.kind), |p| &p.name)
    }

    /// Key in [`Module::resources`].
    pub fn key(&self) -> ResourceKey {
        (self.mode, Arc::clone(&self.kind), Arc::clone(&self.name))
    }
}

/// A named provider configuration, `aws.west`.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderRef {
    /// Local name.
    pub name: Arc<str>,
    /// Alias.
    pub alias: Option<Arc<str>>,
    /// Where it is written.
    pub pos: Pos,
}

/// `lifecycle`.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    /// Whether a replacement is made before the old one goes.
    pub create_before_destroy: Option<bool>,
    /// Whether a plan that destroys it is an error.
    pub prevent_destroy: Option<bool>,
    /// Attributes whose changes do not count.
    pub ignore_changes: IgnoreChanges,
    /// References whose change replaces it.
    pub replace_triggered_by: Vec<Expr>,
    /// Rules checked before.
    pub preconditions: Vec<Rule>,
    /// Rules checked after.
    pub postconditions: Vec<Rule>,
}

/// `ignore_changes`.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum IgnoreChanges {
    /// Nothing is ignored.
    #[default]
    None,
    /// `all`.
    All,
    /// Paths of attributes.
    Paths(Vec<Vec<PathStep>>),
}

/// A step into a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathStep {
    /// `.name`
    Attribute(Arc<str>),
    /// `["name"]`
    Key(Arc<str>),
    /// `[0]`
    Index(u64),
}

/// A condition with its message.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What must hold.
    pub condition: Expr,
    /// What to say when it does not.
    pub message: Expr,
    /// Where it begins.
    pub pos: Pos,
}

/// A provisioner.
#[derive(Clone, Debug)]
pub struct Provisioner {
    /// `local-exec`.
    pub kind: Arc<str>,
    /// Whether it runs before a destroy instead of after a create.
    pub on_destroy: bool,
    /// Whether its failure is only told.
    pub keep_going: bool,
    /// Its arguments.
    pub body: Body,
    /// Where it begins.
    pub pos: Pos,
}

/// A call of another module.
#[derive(Clone, Debug)]
pub struct ModuleCall {
    /// Name.
    pub name: Arc<str>,
    /// Where the module is.
    pub source: String,
    /// Version constraint.
    pub version: Option<String>,
    /// Inputs.
    pub arguments: IndexMap<Arc<str>, Expr>,
    /// How often.
    pub count: Option<Expr>,
    /// For what.
    pub for_each: Option<Expr>,
    /// Provider configurations handed on, inner name to outer.
    pub providers: Vec<(ProviderRef, ProviderRef)>,
    /// What must be done before.
    pub depends_on: Vec<Expr>,
    /// Where it begins.
    pub pos: Pos,
}

/// A provider configuration.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Local name.
    pub name: Arc<str>,
    /// Alias.
    pub alias: Option<Arc<str>>,
    /// Its arguments.
    pub body: Body,
    /// Where it begins.
    pub pos: Pos,
}

/// `moved`: addresses as text, relative to the module.
#[derive(Clone, Debug)]
pub struct Moved {
    /// Old address.
    pub from: String,
    /// New address.
    pub to: String,
    /// Where it begins.
    pub pos: Pos,
}

/// `removed`.
#[derive(Clone, Debug)]
pub struct Removed {
    /// Address as text, relative to the module.
    pub from: String,
    /// Whether the object is destroyed, or only forgotten.
    pub destroy: bool,
    /// Where it begins.
    pub pos: Pos,
}

/// `import`.
#[derive(Clone, Debug)]
pub struct Import {
    /// Resource address, which may use `each` in a key.
    pub to: Expr,
    /// Identifier at the provider.
    pub id: Option<Expr>,
    /// For what.
    pub for_each: Option<Expr>,
    /// Where it begins.
    pub pos: Pos,
}

/// `check`.
#[derive(Clone, Debug)]
pub struct Check {
    /// Name.
    pub name: Arc<str>,
    /// Rules.
    pub asserts: Vec<Rule>,
    /// Where it begins.
    pub pos: Pos,
}

/// `terraform` blocks of a module together.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Version constraints of the language.
    pub required_version: Vec<(String, Pos)>,
    /// Providers by local name.
    pub required_providers: IndexMap<Arc<str>, RequiredProvider>,
    /// Where state is kept.
    pub backend: Option<Backend>,
}

/// A provider a module needs.
#[derive(Clone, Debug)]
pub struct RequiredProvider {
    /// `hashicorp/aws`, when written.
    pub source: Option<String>,
    /// Version constraint.
    pub version: Option<String>,
    /// Where it is written.
    pub pos: Pos,
}

/// A backend block.
#[derive(Clone, Debug)]
pub struct Backend {
    /// `local`, `s3`; `cloud` for a `cloud` block.
    pub kind: Arc<str>,
    /// Its arguments.
    pub body: Body,
    /// Where it begins.
    pub pos: Pos,
}
