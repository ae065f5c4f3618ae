//! Names of variants, and types without their lifetimes.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Error, Expr, ExprLit, Lit, Type, Variant};

/// The name of a stream, timer or lookup: from `#[name = "..."]`, or the variant's name in snake case.
pub fn of(variant: &Variant) -> Result<String, Error> {
    let Some(attribute) = variant.attrs.iter().find(|attribute| attribute.path().is_ident("name")) else {
        return Ok(snake(&variant.ident.to_string()));
    };
    match &attribute.meta.require_name_value()?.value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(name), ..
        }) if !name.value().is_empty() => Ok(name.value()),
        other => Err(Error::new_spanned(
            other,
            "the name must be a text: `#[name = \"user-sessions\"]`",
        )),
    }
}

fn snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

/// The type with `'static` in place of each lifetime, which is the one that implements `Datum`.
pub fn for_ever(ty: &Type) -> TokenStream {
    replace(ty.to_token_stream())
}

fn replace(tokens: TokenStream) -> TokenStream {
    let mut out: Vec<TokenTree> = Vec::new();
    let mut tokens = tokens.into_iter();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), replace(group.stream()));
                inner.set_span(group.span());
                out.push(inner.into());
            }
            TokenTree::Punct(tick) if tick.as_char() == '\'' => {
                let span = tokens.next().map_or(Span::call_site(), |name| name.span());
                out.push(tick.into());
                out.push(Ident::new("static", span).into());
            }
            token => out.push(token),
        }
    }
    out.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_lifetimes() {
        assert_eq!(snake("UserSession"), "user_session");
        let ty: Type = syn::parse_quote!(Result<Info<'a, [&'b str; 2]>, E>);
        let expected: Type = syn::parse_quote!(Result<Info<'static, [&'static str; 2]>, E>);
        assert_eq!(for_ever(&ty).to_string(), expected.to_token_stream().to_string());
    }
}
