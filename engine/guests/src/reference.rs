//! The contract as a page for plugin authors, from the words in `wit/`.

use std::fmt::Write as _;

use wit_parser::{Function, Handle, InterfaceId, Resolve, Type, TypeDef, TypeDefKind, TypeOwner};

use crate::component::contract_with;
use crate::{Error, WIT};

/// Interfaces in the order in which an author meets them.
const ORDER: [&str; 9] = ["node", "undo", "resume", "query", "check", "types", "log", "records-read", "records-write"];

/// The page, as Markdown.
pub fn reference() -> Result<String, Error> {
    let (contract, _) = contract_with(&["plugin-full", "logging", "records-writer"])?;
    let mut out = String::from(
        "# Contract reference\n\nMade from [`wit/`](../../wit/types.wit) by `stepwell print contract`. A plugin is one \
         component that exports `node`; what it imports decides its effect class.\n",
    );
    let mut interfaces: Vec<(usize, InterfaceId, &str)> = contract
        .interfaces
        .iter()
        .filter_map(|(id, interface)| {
            let name = interface.name.as_deref()?;
            Some((ORDER.iter().position(|known| *known == name)?, id, name))
        })
        .collect();
    interfaces.sort_by_key(|(place, ..)| *place);
    for (_, id, name) in interfaces {
        let interface = &contract.interfaces[id];
        let package = interface.package.map(|package| contract.packages[package].name.clone());
        let (package, version) =
            package.map(|name| (format!("{}:{}", name.namespace, name.name), name.version)).unzip();
        let version = version.flatten().map(|version| format!("@{version}")).unwrap_or_default();
        let _ = writeln!(out, "\n## `{}/{name}{version}`\n", package.unwrap_or_default());
        said(&mut out, "", interface.docs.contents.as_deref());
        for function in interface.functions.values() {
            signature(&mut out, &contract, function);
        }
        for (name, id) in &interface.types {
            type_def(&mut out, &contract, name, &contract.types[*id]);
        }
    }
    classes(&mut out);
    Ok(out)
}

/// What imports lead to: a comment in the file, since worlds are only for guests.
fn classes(out: &mut String) {
    let Some((_, worlds)) = WIT.iter().find(|(path, _)| *path == "worlds.wit") else { return };
    let _ = writeln!(out, "\n## Worlds and effect classes\n");
    for line in worlds.lines().take_while(|line| line.starts_with("//") && !line.starts_with("///")) {
        let _ = writeln!(out, "{}", line.trim_start_matches("//").trim_start());
    }
}

/// Words of the contract, each line after `indent`.
fn said(out: &mut String, indent: &str, docs: Option<&str>) {
    for line in docs.unwrap_or_default().trim().lines() {
        let line = line.trim_end();
        let _ = if line.is_empty() { writeln!(out) } else { writeln!(out, "{indent}{line}") };
    }
}

fn signature(out: &mut String, contract: &Resolve, function: &Function) {
    let given: Vec<String> =
        function.params.iter().map(|param| format!("{}: {}", param.name, shown(contract, &param.ty))).collect();
    let result = function.result.as_ref().map(|result| format!(" -> {}", shown(contract, result))).unwrap_or_default();
    let _ = writeln!(out, "\n### `{}({}){result}`\n", function.name, given.join(", "));
    said(out, "", function.docs.contents.as_deref());
}

fn type_def(out: &mut String, contract: &Resolve, name: &str, def: &TypeDef) {
    let (kind, items): (&str, Vec<(String, Option<&str>)>) = match &def.kind {
        // Lent from another interface, where it is explained.
        TypeDefKind::Type(Type::Id(_)) => return,
        TypeDefKind::Type(other) => {
            let _ = writeln!(out, "\n### `{name}`: `{}`\n", shown(contract, other));
            return said(out, "", def.docs.contents.as_deref());
        }
        TypeDefKind::Record(record) => {
            let fields = record.fields.iter();
            let shown = |ty| format!(": `{}`", shown(contract, ty));
            (
                "record",
                fields.map(|one| (format!("`{}`{}", one.name, shown(&one.ty)), one.docs.contents.as_deref())).collect(),
            )
        }
        TypeDefKind::Variant(variant) => {
            let of = |ty: Option<&Type>| ty.map(|ty| format!(" of `{}`", shown(contract, ty))).unwrap_or_default();
            let cases = variant.cases.iter();
            (
                "one of",
                cases
                    .map(|one| (format!("`{}`{}", one.name, of(one.ty.as_ref())), one.docs.contents.as_deref()))
                    .collect(),
            )
        }
        TypeDefKind::Enum(list) => {
            ("one of", list.cases.iter().map(|one| (format!("`{}`", one.name), one.docs.contents.as_deref())).collect())
        }
        _ => return,
    };
    let _ = writeln!(out, "\n### `{name}`: {kind}\n");
    said(out, "", def.docs.contents.as_deref());
    if def.docs.contents.is_some() {
        out.push('\n');
    }
    for (item, docs) in items {
        let _ = writeln!(out, "- {item}");
        if docs.is_some() {
            out.push('\n');
            said(out, "  ", docs);
            out.push('\n');
        }
    }
}

fn shown(contract: &Resolve, ty: &Type) -> String {
    let Type::Id(id) = ty else { return plain(ty).to_owned() };
    let def = &contract.types[*id];
    if let (Some(name), TypeOwner::Interface(_)) = (&def.name, def.owner) {
        return name.clone();
    }
    let of = |ty: &Type| shown(contract, ty);
    match &def.kind {
        TypeDefKind::Option(inner) => format!("option<{}>", of(inner)),
        TypeDefKind::List(inner) => format!("list<{}>", of(inner)),
        TypeDefKind::Tuple(tuple) => format!("tuple<{}>", tuple.types.iter().map(of).collect::<Vec<_>>().join(", ")),
        TypeDefKind::Result(result) => {
            let side = |ty: &Option<Type>| ty.as_ref().map_or_else(|| "_".to_owned(), of);
            format!("result<{}, {}>", side(&result.ok), side(&result.err))
        }
        TypeDefKind::Handle(Handle::Own(id) | Handle::Borrow(id)) => of(&Type::Id(*id)),
        other => other.as_str().to_owned(),
    }
}

fn plain(ty: &Type) -> &'static str {
    match ty {
        Type::Bool => "bool",
        Type::U8 => "u8",
        Type::U16 => "u16",
        Type::U32 => "u32",
        Type::U64 => "u64",
        Type::S8 => "s8",
        Type::S16 => "s16",
        Type::S32 => "s32",
        Type::S64 => "s64",
        Type::F32 => "f32",
        Type::F64 => "f64",
        Type::Char => "char",
        Type::String => "string",
        Type::ErrorContext => "error-context",
        Type::Id(_) => "",
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_has_every_part_of_the_contract() {
        let page = super::reference().unwrap_or_default();
        for part in [
            "## `stepwell:node/node@0.1.0`",
            "### `run(node-type: string, call: call, config: json, input: json) -> result<outcome, failure>`",
            "- `rejected` of `rejection`",
            "- `timeout-ms`: `option<u64>`",
            "## `stepwell:host/records-write@0.1.0`",
            "- external: `wasi:http/outgoing-handler@0.2`.",
        ] {
            assert!(page.contains(part), "{part}");
        }
    }
}
