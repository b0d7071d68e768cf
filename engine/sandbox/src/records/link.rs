//! Binds the two interfaces: arguments in, [`Records`](super::Records) asked, answers out.

use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

use crate::contract::{self, Filter, Guard};
use crate::host::CallState;

type Store<'a> = StoreContextMut<'a, CallState>;

pub(crate) fn link_read(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    let mut reads = linker.instance(contract::RECORDS_READ)?;
    reads.func_wrap_async("get", |mut store: Store<'_>, (kind, id): (String, String)| {
        Box::new(async move { store.data_mut().records.get(&kind, &id).await.map(|said| (said,)) })
    })?;
    reads.func_wrap_async(
        "list",
        |mut store: Store<'_>, (kind, filter, after, limit): (String, Filter, Option<String>, u32)| {
            Box::new(
                async move { store.data_mut().records.list(&kind, filter, after, limit).await.map(|said| (said,)) },
            )
        },
    )
}

pub(crate) fn link_write(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    let mut writes = linker.instance(contract::RECORDS_WRITE)?;
    writes.func_wrap_async(
        "put",
        |mut store: Store<'_>, (kind, id, status, body): (String, String, String, String)| {
            Box::new(async move { store.data_mut().records.put(&kind, &id, &status, body).await.map(|said| (said,)) })
        },
    )?;
    writes.func_wrap_async("compare-and-set", |mut store: Store<'_>, asked: Asked| {
        Box::new(async move {
            let (kind, id, guard, status, body) = asked;
            let records = &mut store.data_mut().records;
            records.compare_and_set(&kind, &id, guard, &status, body).await.map(|said| (said,))
        })
    })
}

type Asked = (String, String, Guard, String, Option<String>);
