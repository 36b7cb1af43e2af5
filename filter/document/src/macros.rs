//! The macros that define document types once.

/// Defines a struct that is a mapping in a document, with its decoder ([`crate::Decode`]), JSON Schema
/// (`schemars::JsonSchema`) and serialiser (`serde::Serialize`); it derives `Clone`, `Debug` and `PartialEq`.
///
/// A field is `pub name: Type`, then `= default` where it may be left away, then `=> allowed` (an [`crate::Allowed`], such as
/// a range). Its key is the camelCase form of its name, or the one given by `pub name as "key": Type`. `Option` fields, and
/// fields whose type is a struct without required fields, need no default. Every field has a doc comment: it becomes the
/// schema's description. Other attributes are not possible.
///
/// `struct Name kind "Kind" { ... }` is a whole document: it also has the fields `apiVersion` and `kind`.
///
/// `check function(field, field);` after the struct calls
/// `function(&field, &field, at: &Path, problems: &mut Collector)` once those fields were read without a problem, whatever
/// the others are; `validate function;` behind the checks calls `function(&value, at, problems)` once all fields were read
/// and none is unknown.
/// See the crate's documentation for an example.
#[macro_export]
macro_rules! document {
    (
        $(#[doc = $doc:literal])*
        $vis:vis struct $name:ident $(kind $kind:literal)? {
            $(
                $(#[doc = $field_doc:literal])*
                pub $field:ident $(as $key:literal)? : $ty:ty $(= $default:expr)? $(=> $allowed:expr)?
            ),* $(,)?
        }
        $(check $check:ident ( $($input:ident),+ $(,)? ) ;)*
        $(validate $validate:ident ;)?
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq)]
        $vis struct $name {
            $($(#[doc = $field_doc])* pub $field: $ty,)*
        }

        impl $crate::Decode for $name {
            fn decode(
                node: &$crate::macro_support::serde_json::Value,
                at: &$crate::Path<'_>,
                problems: &mut $crate::Collector,
            ) -> ::core::option::Option<Self> {
                #[allow(unused_mut)]
                let mut fields = $crate::Fields::open(node, at, problems)?;
                $(fields.envelope($kind, at, problems);)?
                $(
                    let $field: ::core::option::Option<$ty> = {
                        $crate::field_parts!(key, default, allowed, $field, $ty, ($($key)?), ($($default)?), ($($allowed)?));
                        fields.take::<$ty>(key, default, allowed, at, problems)
                    };
                )*
                #[allow(unused_variables)]
                let all_known = fields.finish(at, problems);
                $(
                    if let ($(::core::option::Option::Some($input),)+) = ($($input.as_ref(),)+) {
                        $check($($input,)+ at, problems);
                    }
                )*
                let value = Self { $($field: $field?),* };
                $(
                    if all_known {
                        $validate(&value, at, problems);
                    }
                )?
                ::core::option::Option::Some(value)
            }

            fn absent() -> ::core::option::Option<Self> {
                let empty = $crate::macro_support::serde_json::Value::Object(::core::default::Default::default());
                let mut problems = $crate::Collector::new();
                let value = <Self as $crate::Decode>::decode(&empty, &$crate::Path::Root, &mut problems);
                if problems.is_empty() { value } else { ::core::option::Option::None }
            }
        }

        impl $crate::macro_support::schemars::JsonSchema for $name {
            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                ::std::borrow::Cow::Borrowed(stringify!($name))
            }

            fn schema_id() -> ::std::borrow::Cow<'static, str> {
                ::std::borrow::Cow::Borrowed(concat!(module_path!(), "::", stringify!($name)))
            }

            fn json_schema(
                generator: &mut $crate::macro_support::schemars::SchemaGenerator,
            ) -> $crate::macro_support::schemars::Schema {
                #[allow(unused_mut)]
                let mut object = $crate::ObjectSchema::new(concat!($($doc, "\n"),*));
                $(object.envelope($kind);)?
                $({
                    $crate::field_parts!(key, default, allowed, $field, $ty, ($($key)?), ($($default)?), ($($allowed)?));
                    object.field::<$ty>(generator, key, concat!($($field_doc, "\n"),*), default, allowed);
                })*
                object.finish()
            }
        }

        impl $crate::macro_support::serde::Serialize for $name {
            fn serialize<S: $crate::macro_support::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                use $crate::macro_support::serde::ser::SerializeMap as _;
                let mut map = serializer.serialize_map(::core::option::Option::None)?;
                $(
                    map.serialize_entry("apiVersion", $crate::API_VERSION)?;
                    map.serialize_entry("kind", $kind)?;
                )?
                $(
                    if !$crate::Decode::is_absent(&self.$field) {
                        let key = $crate::camel_case(stringify!($field));
                        $(let key = ::std::string::String::from($key);)?
                        map.serialize_entry(&key, &self.$field)?;
                    }
                )*
                map.end()
            }
        }
    };
}

/// The optional parts of a field as local variables; for [`document!`] only.
#[doc(hidden)]
#[macro_export]
macro_rules! field_parts {
    ($key_name:ident, $default_name:ident, $allowed_name:ident, $field:ident, $ty:ty,
     ($($key:literal)?), ($($default:expr)?), ($($allowed:expr)?)) => {
        #[allow(unused_variables)]
        let $key_name = $crate::camel_case(stringify!($field));
        $(let $key_name = ::std::string::String::from($key);)?
        #[allow(unused_variables)]
        let $default_name: ::core::option::Option<fn() -> $ty> = ::core::option::Option::None;
        $(let $default_name: ::core::option::Option<fn() -> $ty> = ::core::option::Option::Some(|| $default);)?
        #[allow(unused_variables)]
        let $allowed_name: ::core::option::Option<&dyn $crate::Allowed<$ty>> = ::core::option::Option::None;
        $(
            let rule = $allowed;
            let $allowed_name: ::core::option::Option<&dyn $crate::Allowed<$ty>> = ::core::option::Option::Some(&rule);
        )?
    };
}

/// Defines an enum whose variants are words in a document, with decoder, JSON Schema, serialiser, `as_str`, `ALL` and
/// `Display`; it derives `Clone`, `Copy`, `Debug`, `PartialEq`, `Eq`, `PartialOrd`, `Ord` and `Hash`.
#[macro_export]
macro_rules! choice {
    (
        $(#[doc = $doc:literal])*
        $vis:vis enum $name:ident {
            $($(#[doc = $variant_doc:literal])* $variant:ident = $word:literal),+ $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name {
            $($(#[doc = $variant_doc])* $variant),+
        }

        #[allow(dead_code)]
        impl $name {
            /// All variants in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word that stands for this in documents.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        impl ::core::fmt::Display for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl $crate::Decode for $name {
            fn decode(
                node: &$crate::macro_support::serde_json::Value,
                at: &$crate::Path<'_>,
                problems: &mut $crate::Collector,
            ) -> ::core::option::Option<Self> {
                let words = &[$($word),+];
                let index = $crate::Fields::word(node, words, at, problems)?;
                Self::ALL.get(index).copied()
            }
        }

        impl $crate::macro_support::schemars::JsonSchema for $name {
            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                ::std::borrow::Cow::Borrowed(stringify!($name))
            }

            fn schema_id() -> ::std::borrow::Cow<'static, str> {
                ::std::borrow::Cow::Borrowed(concat!(module_path!(), "::", stringify!($name)))
            }

            fn json_schema(
                _: &mut $crate::macro_support::schemars::SchemaGenerator,
            ) -> $crate::macro_support::schemars::Schema {
                $crate::words_schema(
                    concat!($($doc, "\n"),*),
                    &[$(($word, concat!($($variant_doc, "\n"),*))),+],
                )
            }
        }

        impl $crate::macro_support::serde::Serialize for $name {
            fn serialize<S: $crate::macro_support::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}
