//! Derives `Settings`, for a struct whose fields are read from the pipeline's file.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Field, Fields, Lit, Type};

pub fn derive(input: &DeriveInput) -> Result<TokenStream, Error> {
    let ident = &input.ident;
    let named = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => Some(&fields.named),
            _ => None,
        },
        _ => None,
    };
    let Some(fields) = named else {
        return Err(Error::new_spanned(
            ident,
            "`Settings` is derived on a struct with named fields",
        ));
    };
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &input.generics,
            "settings have no parameters: they own what they hold",
        ));
    }
    let mut reads = Vec::new();
    let names: Vec<_> = fields.iter().filter_map(|field| field.ident.as_ref()).collect();
    for (field, name) in fields.iter().zip(&names) {
        let (ty, text) = (&field.ty, name.to_string());
        let text = text.trim_start_matches("r#");
        let default = default(field)?;
        reads.push(quote_spanned!(ty.span()=> let #name = settings.field::<#ty>(#text, #default);));
    }
    Ok(quote! {
        #[automatically_derived]
        impl ::pelton_sdk::FromSettings for #ident {
            fn from_settings(
                settings: &mut ::pelton_sdk::derived::Settings,
            ) -> ::core::option::Option<Self> {
                #(#reads)*
                ::core::option::Option::Some(#ident { #(#names: #names?,)* })
            }
        }
    })
}

fn default(field: &Field) -> Result<TokenStream, Error> {
    let ty = &field.ty;
    let mut default = quote!(::core::option::Option::None);
    for attribute in field
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("setting"))
    {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("default") {
                return Err(meta.error("a setting knows `default` only: `#[setting(default = \"1m\")]`"));
            }
            if !meta.input.peek(syn::Token![=]) {
                default = quote!(::core::option::Option::Some(<#ty as ::core::default::Default>::default));
                return Ok(());
            }
            let literal: Lit = meta.value()?.parse()?;
            let value = value(ty, &literal)?;
            default = quote_spanned!(literal.span()=> ::core::option::Option::Some((|| #value) as fn() -> #ty));
            Ok(())
        })?;
    }
    Ok(default)
}

/// The literal as a value of the field's type.
fn value(ty: &Type, literal: &Lit) -> Result<TokenStream, Error> {
    let is =
        |name: &str| matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == name));
    if is("Duration") {
        let text = match literal {
            Lit::Str(text) => text.value(),
            _ => String::new(),
        };
        return match millis(&text) {
            Some(millis) => Ok(quote!(::core::time::Duration::from_millis(#millis))),
            None => Err(Error::new_spanned(
                literal,
                "not a duration: write \"500ms\", \"20s\", \"1m\", \"1h\" or \"7d\"",
            )),
        };
    }
    Ok(match literal {
        Lit::Str(_) => quote!(::std::string::String::from(#literal)),
        literal => quote!(#literal),
    })
}

/// Parses a duration like `pelton_sdk::settings::duration`: numbers with units, which are added up.
fn millis(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let mut sum = None;
    while !rest.is_empty() {
        let (digits, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, tail) = tail.split_at(tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len()));
        let unit = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60 * 1000,
            "h" => 60 * 60 * 1000,
            "d" => 24 * 60 * 60 * 1000,
            _ => return None,
        };
        sum = digits
            .parse::<u64>()
            .ok()?
            .checked_mul(unit)?
            .checked_add(sum.unwrap_or(0));
        sum?;
        rest = tail.trim_start();
    }
    sum
}
