//! Whether an order can be taken, with every problem at once.
//!
//! The input is read leniently: a field of the wrong kind is a problem of the order, which the flow
//! branches on, and not a failure to read. Items are checked as they stream by and are not kept.

use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use stepwell_sdk::{Error, NoConfig, rejected};

use crate::shipping;

/// A thousand broken items teach no more than these.
const PROBLEMS_MAX: usize = 50;

#[derive(Deserialize)]
// The lenient readers below are for one lifetime, that of the input text.
#[serde(bound(deserialize = "'a: 'de"))]
pub(crate) struct Order<'a> {
    #[serde(borrow, default, rename = "order_id")]
    id: Text<'a>,
    #[serde(borrow, default, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow, default)]
    region: Text<'a>,
    #[serde(borrow, default)]
    customer: Customer<'a>,
    #[serde(default)]
    items: Items,
}

#[derive(Debug, Serialize)]
pub(crate) struct Output<'a> {
    order_id: Cow<'a, str>,
    #[serde(rename = "type")]
    kind: Cow<'a, str>,
    tier: Cow<'a, str>,
    region: Cow<'a, str>,
}

#[derive(Debug, Serialize)]
struct Problem {
    pointer: Cow<'static, str>,
    message: &'static str,
}

pub(crate) fn run<'a>(_: NoConfig, order: Order<'a>) -> Result<Output<'a>, Error> {
    let mut problems = order.items.problems;
    let mut text = |field: Text<'a>, fits: fn(&str) -> bool, pointer: &'static str, message: &'static str| match field {
        Text(Some(text)) if fits(&text) => text,
        Text(_) => {
            problems.push(Problem { pointer: Cow::Borrowed(pointer), message });
            Cow::Borrowed("")
        }
    };
    let output = Output {
        order_id: text(order.id, |id| !id.is_empty(), "/order_id", "must be a text that is not empty"),
        kind: text(order.kind, |kind| matches!(kind, "physical" | "virtual"), "/type", "must be physical or virtual"),
        tier: text(order.customer.tier, |_| true, "/customer/tier", "must be a text"),
        region: text(order.region, shipping::is_known, "/region", "must be a known region"),
    };
    if !order.items.any {
        problems.push(Problem { pointer: Cow::Borrowed("/items"), message: "must hold at least one item" });
    }
    if problems.is_empty() {
        return Ok(output);
    }
    problems.sort_by(|a, b| a.pointer.cmp(&b.pointer));
    Err(rejected("INVALID_ORDER", "the order cannot be taken as it is").with_data(&problems))
}

/// A text, or nothing where there is none or something else.
#[derive(Default)]
struct Text<'a>(Option<Cow<'a, str>>);

/// A whole number, or nothing where there is none or something else.
#[derive(Default)]
struct Whole(Option<i64>);

#[derive(Default)]
struct Customer<'a> {
    tier: Text<'a>,
}

/// What is wrong with the items.
#[derive(Default)]
struct Items {
    any: bool,
    problems: Vec<Problem>,
}

#[derive(Default)]
struct Item {
    qty: Whole,
    unit_cents: Whole,
    is_object: bool,
}

impl Items {
    fn check(&mut self, index: usize, item: &Item) {
        self.any = true;
        let mut add = |field: &str, message| {
            if self.problems.len() < PROBLEMS_MAX {
                self.problems.push(Problem { pointer: Cow::Owned(format!("/items/{index}{field}")), message });
            }
        };
        if !item.is_object {
            return add("", "must be an object");
        }
        if !matches!(item.qty.0, Some(1..)) {
            add("/qty", "must be a whole number above 0");
        }
        if !matches!(item.unit_cents.0, Some(0..)) {
            add("/unit_cents", "must be a whole number, 0 or more");
        }
    }
}

/// Writes the visitor methods for the kinds of JSON value that are not of interest.
macro_rules! otherwise {
    ($($method:ident($kind:ty)),+) => {
        $(fn $method<E>(self, _: $kind) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        })+
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
    (map) => {
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
    (seq) => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
}

/// Reads `$type` from any JSON value with the visitor methods in the block.
macro_rules! lenient {
    ($type:ty, $what:literal, { $($methods:tt)* }) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Any;
                impl<'de> Visitor<'de> for Any {
                    type Value = $type;
                    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                        out.write_str($what)
                    }
                    $($methods)*
                }
                deserializer.deserialize_any(Any)
            }
        }
    };
}

lenient!(Text<'de>, "any value", {
    otherwise!(visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64));
    otherwise!(map);
    otherwise!(seq);
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Some(Cow::Borrowed(text))))
    }
    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Some(Cow::Owned(text.to_owned()))))
    }
});

lenient!(Whole, "any value", {
    otherwise!(visit_bool(bool), visit_str(&str));
    otherwise!(map);
    otherwise!(seq);
    fn visit_i64<E>(self, number: i64) -> Result<Whole, E> {
        Ok(Whole(Some(number)))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Whole, E> {
        Ok(Whole(i64::try_from(number).ok()))
    }
    /// `2.0` is a whole number in JSON Schema's eyes too.
    #[allow(clippy::cast_possible_truncation, reason = "the guard leaves only numbers that fit")]
    fn visit_f64<E>(self, number: f64) -> Result<Whole, E> {
        Ok(Whole((number % 1.0 == 0.0 && number.abs() < 9e15).then_some(number as i64)))
    }
});

lenient!(Customer<'de>, "any value", {
    otherwise!(visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64), visit_str(&str));
    otherwise!(seq);
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Customer<'de>, A::Error> {
        let mut customer = Customer::default();
        while let Some(Key(name)) = map.next_key()? {
            match &*name {
                "tier" => customer.tier = map.next_value()?,
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(customer)
    }
});

lenient!(Item, "any value", {
    otherwise!(visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64), visit_str(&str));
    otherwise!(seq);
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Item, A::Error> {
        let mut item = Item { is_object: true, ..Item::default() };
        while let Some(Key(name)) = map.next_key()? {
            match &*name {
                "qty" => item.qty = map.next_value()?,
                "unit_cents" => item.unit_cents = map.next_value()?,
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(item)
    }
});

lenient!(Items, "any value", {
    otherwise!(visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64), visit_str(&str));
    otherwise!(map);
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Items, A::Error> {
        let mut items = Items::default();
        let mut index = 0;
        while let Some(item) = seq.next_element::<Item>()? {
            items.check(index, &item);
            index += 1;
        }
        Ok(items)
    }
});

/// A key of an object, borrowed unless it is written with escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Text::deserialize(deserializer)? {
            Text(Some(text)) => Ok(Key(text)),
            Text(None) => Err(D::Error::custom("a key must be a text")),
        }
    }
}

#[cfg(test)]
mod tests {
    use stepwell_sdk::testing::answer;

    const GOOD: &str = r#"{"order_id":"o1","type":"physical","currency":"CNY","region":"north",
        "customer":{"id":"c","tier":"gold"},"items":[{"sku":"A","qty":2,"unit_cents":0}],"note":null}"#;

    #[test]
    fn all_problems_are_named_at_once() {
        for (from, to, expected) in [
            ("", "", r#"done out {"order_id":"o1","type":"physical","tier":"gold","region":"north"}"#),
            ("physical", "virtual", r#""type":"virtual""#),
            ("gold", r"go\u006cd", r#""tier":"gold""#), // Escaped text cannot be borrowed.
            ("\"qty\"", r#""\u0071ty""#, r#""tier":"gold""#),
            (":2,", ":2.0,", r#""tier":"gold""#),
            (r#""o1""#, r#""""#, r#"[{"pointer":"/order_id","#),
            (r#""o1""#, "7", r#"[{"pointer":"/order_id","#),
            ("physical", "digital", r#"[{"pointer":"/type","#),
            ("north", "east", r#"[{"pointer":"/region","#),
            (r#""gold""#, "null", r#"[{"pointer":"/customer/tier","#),
            (r#"{"id":"c","tier":"gold"}"#, "[1]", r#"[{"pointer":"/customer/tier","#),
            ("\"customer\"", "\"buyer\"", r#"[{"pointer":"/customer/tier","#),
            (":2,", ":0,", r#"[{"pointer":"/items/0/qty","#),
            (":2,", ":1.5,", r#"[{"pointer":"/items/0/qty","#),
            (":0}", ":-1}", r#"[{"pointer":"/items/0/unit_cents","#),
            (":0}", r#":"1"}"#, r#"[{"pointer":"/items/0/unit_cents","#),
            (r#"[{"sku":"A","qty":2,"unit_cents":0}]"#, "[]", r#"[{"pointer":"/items","#),
            (r#"[{"sku":"A","qty":2,"unit_cents":0}]"#, "{}", r#"[{"pointer":"/items","#),
            (r#"{"sku":"A","qty":2,"unit_cents":0}"#, "3", r#"[{"pointer":"/items/0","#),
            (r#"{"order_id":"o1""#, r#"{"order_id":3"#, "rejected INVALID_ORDER"),
        ] {
            let shown =
                answer::<crate::Order>("validate", "{}", &GOOD.replacen(from, to, usize::from(!from.is_empty())));
            assert!(shown.contains(expected), "{from} -> {to}: {shown}");
        }
        let shown = answer::<crate::Order>("validate", "{}", "{}");
        for pointer in ["/order_id", "/type", "/region", "/customer/tier", "/items"] {
            assert!(shown.contains(&format!("\"{pointer}\"")), "{pointer}: {shown}");
        }
    }

    #[test]
    fn the_list_of_problems_is_bounded() {
        let shown = answer::<crate::Order>("validate", "{}", &format!(r#"{{"items":[{}0]}}"#, "0,".repeat(999)));
        assert!(shown.matches("pointer").count() < 60, "{shown}");
    }
}
