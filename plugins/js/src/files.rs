//! The program's modules, by the path they are imported with.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use rquickjs::loader::{ImportAttributes, Loader, Resolver};
use rquickjs::module::Declared;
use rquickjs::{Ctx, Error, Module, Result};

/// What programs import of ours.
const OURS: [(&str, &str); 2] = [("stepwell", include_str!("stepwell.js")), ("stepwell/http", include_str!("http.js"))];

#[derive(Clone)]
pub(crate) struct Files(Rc<BTreeMap<String, String>>);

impl Files {
    pub(crate) fn new(files: BTreeMap<String, String>) -> Self {
        Self(Rc::new(files))
    }
}

impl Resolver for Files {
    fn resolve<'js>(
        &mut self,
        _: &Ctx<'js>,
        base: &str,
        name: &str,
        _: Option<ImportAttributes<'js>>,
    ) -> Result<String> {
        if OURS.iter().any(|(ours, _)| *ours == name) {
            return Ok(name.to_owned());
        }
        let mut path: Vec<&str> = Vec::new();
        if name.starts_with('.') {
            path = base.split('/').collect();
            path.pop();
        }
        for part in name.split('/') {
            match part {
                "." | "" => {}
                ".." => {
                    path.pop();
                }
                other => path.push(other),
            }
        }
        let path = path.join("/");
        if self.0.contains_key(&path) { Ok(path) } else { Err(Error::new_resolving(base, name)) }
    }
}

impl Loader for Files {
    fn load<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        name: &str,
        _: Option<ImportAttributes<'js>>,
    ) -> Result<Module<'js, Declared>> {
        if let Some((_, source)) = OURS.iter().find(|(ours, _)| *ours == name) {
            return Module::declare(ctx.clone(), name, *source);
        }
        let source = self.0.get(name).ok_or_else(|| Error::new_loading(name))?;
        if Path::new(name).extension().is_some_and(|extension| extension == "json") {
            return Module::declare(ctx.clone(), name, format!("export default {source}"));
        }
        Module::declare(ctx.clone(), name, source.as_bytes())
    }
}
