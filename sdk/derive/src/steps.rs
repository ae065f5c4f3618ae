//! Derives `Event`, `Due` and `Reply`, for enums whose variants are streams, timers and lookups.

use crate::names;
use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use std::collections::BTreeSet;
use syn::spanned::Spanned;
use syn::{
    Data, DeriveInput, Error, Field, Fields, GenericArgument, GenericParam, Lifetime, PathArguments, Type, Variant,
};

/// The parts of an enum that all three derives need.
struct Enum<'i> {
    ident: &'i syn::Ident,
    /// The lifetime of a batch. It is the enum's own, if it has one.
    life: Lifetime,
    /// `<'a>`, or nothing.
    arguments: TokenStream,
    variants: Vec<(String, &'i Variant)>,
}

fn read<'i>(input: &'i DeriveInput, derive: &str, one: &str) -> Result<Enum<'i>, Error> {
    let Data::Enum(data) = &input.data else {
        return Err(Error::new_spanned(
            &input.ident,
            format!("`{derive}` is derived on an enum: one variant {one}"),
        ));
    };
    let life = match input.generics.params.iter().collect::<Vec<_>>()[..] {
        [] => None,
        [GenericParam::Lifetime(life)] if life.bounds.is_empty() => Some(life.lifetime.clone()),
        _ => {
            let text = format!("`{derive}` may have one lifetime, that of the batch, and nothing else");
            return Err(Error::new_spanned(&input.generics, text));
        }
    };
    let mut variants = Vec::new();
    let mut seen = BTreeSet::new();
    for variant in &data.variants {
        let name = names::of(variant)?;
        if !seen.insert(name.clone()) {
            return Err(Error::new_spanned(variant, format!("two variants are named `{name}`")));
        }
        variants.push((name, variant));
    }
    Ok(Enum {
        ident: &input.ident,
        arguments: life.as_ref().map_or(TokenStream::new(), |life| quote!(<#life>)),
        life: life.unwrap_or_else(|| Lifetime::new("'batch", input.ident.span())),
        variants,
    })
}

/// The fields of a variant with these values, `{ name: value, .. }`, named or not.
fn build<'f>(fields: impl Iterator<Item = &'f Field>, values: impl Iterator<Item = TokenStream>) -> TokenStream {
    let members = fields.enumerate().map(|(index, field)| match &field.ident {
        Some(name) => name.to_token_stream(),
        None => syn::Index::from(index).to_token_stream(),
    });
    quote!({ #(#members: #values,)* })
}

/// The `T` of `Name<T, ..>`.
fn argument<'t>(ty: &'t Type, name: &str) -> Option<&'t Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == name)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    match arguments.args.first()? {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    }
}

pub fn event(input: &DeriveInput) -> Result<TokenStream, Error> {
    let Enum {
        ident,
        life,
        arguments,
        variants,
    } = read(input, "Event", "an input stream")?;
    if variants.is_empty() {
        return Err(Error::new_spanned(
            ident,
            "rules without an input stream would never run: add a variant",
        ));
    }
    let (mut streams, mut arms) = (Vec::new(), Vec::new());
    for (index, (name, variant)) in variants.iter().enumerate() {
        let Fields::Unnamed(fields) = &variant.fields else {
            let text = format!(
                "the variant needs the type of its events: `{}(MyEvent<'a>)`",
                variant.ident
            );
            return Err(Error::new_spanned(variant, text));
        };
        if fields.unnamed.len() != 1 {
            return Err(Error::new_spanned(fields, "one type: that of the stream's events"));
        }
        let ty = &fields.unnamed[0].ty;
        let optional = argument(ty, "Option");
        let datum = names::for_ever(optional.unwrap_or(ty));
        let variant = &variant.ident;
        let index = index as u16;
        let span = ty.span();
        streams.push(quote_spanned!(span=> ::pelton_sdk::derived::stream::<#datum>(#name)));
        arms.push(match optional {
            Some(_) => quote_spanned! {span=>
                #index => Ok(#ident::#variant(match value {
                    Some(value) => Some(::pelton_sdk::derived::event::<#datum>(#name, Some(value))?),
                    None => None,
                })),
            },
            None => quote_spanned! {span=>
                #index => Ok(#ident::#variant(::pelton_sdk::derived::event::<#datum>(#name, value)?)),
            },
        });
    }
    Ok(quote! {
        #[automatically_derived]
        impl<#life> ::pelton_sdk::Inputs<#life> for #ident #arguments {
            const STREAMS: &'static [::pelton_sdk::derived::Named] = &[#(#streams,)*];
            #[inline]
            fn decode(
                source: u16,
                value: ::core::option::Option<&#life [u8]>,
            ) -> ::core::result::Result<Self, ::pelton_sdk::Reject> {
                use ::core::{option::Option::{None, Some}, result::Result::Ok};
                match source {
                    #(#arms)*
                    _ => ::pelton_sdk::derived::no_stream(source),
                }
            }
        }
    })
}

/// Reads the parts of a tag one by one, as the values of the fields.
fn take<'f>(fields: impl ExactSizeIterator<Item = &'f Field>, life: &Lifetime) -> Vec<TokenStream> {
    let count = fields.len();
    let take = fields.enumerate().map(|(index, field)| {
        let (ty, last) = (&field.ty, index + 1 == count);
        quote_spanned!(ty.span()=> <#ty as ::pelton_sdk::Part<#life>>::take(&mut tag, #last)?)
    });
    take.collect()
}

pub fn due(input: &DeriveInput) -> Result<TokenStream, Error> {
    let Enum {
        ident,
        life,
        arguments,
        variants,
    } = read(input, "Due", "a kind of timer")?;
    let kinds = variants.iter().map(|(name, _)| name);
    let (mut kind, mut put, mut arms) = (Vec::new(), Vec::new(), Vec::new());
    for (index, (_, variant)) in variants.iter().enumerate() {
        let (name, index) = (&variant.ident, index as u16);
        let fields = &variant.fields;
        let bound: Vec<_> = (0..fields.len()).map(|field| format_ident!("part{field}")).collect();
        let pattern = build(fields.iter(), bound.iter().map(ToTokens::to_token_stream));
        let puts = fields.iter().zip(&bound).enumerate().map(|(at, (field, part))| {
            let (ty, last) = (&field.ty, at + 1 == fields.len());
            quote_spanned!(ty.span()=> <#ty as ::pelton_sdk::Part<#life>>::put(*#part, #last, out);)
        });
        let built = build(fields.iter(), take(fields.iter(), &life).into_iter());
        kind.push(quote!(#ident::#name { .. } => #index,));
        put.push(quote!(#ident::#name #pattern => { #(#puts)* }));
        arms.push(quote!(#index => #ident::#name #built,));
    }
    Ok(quote! {
        #[automatically_derived]
        impl<#life> ::pelton_sdk::Timers<#life> for #ident #arguments {
            const KINDS: &'static [&'static str] = &[#(#kinds,)*];
            #[inline]
            fn kind(&self) -> u16 {
                match *self { #(#kind)* }
            }
            #[inline]
            fn tag(&self, out: &mut ::std::vec::Vec<u8>) {
                let _ = &out;
                match self { #(#put)* }
            }
            #[inline]
            fn decode(
                kind: u16,
                mut tag: ::pelton_sdk::derived::Parts<#life>,
            ) -> ::core::result::Result<Self, ::pelton_sdk::derived::BadParts> {
                let due = match kind {
                    #(#arms)*
                    _ => return ::core::result::Result::Err(::pelton_sdk::derived::BadParts::NONE),
                };
                tag.end()?;
                ::core::result::Result::Ok(due)
            }
        }
    })
}

pub fn reply(input: &DeriveInput) -> Result<TokenStream, Error> {
    let Enum {
        ident,
        life,
        arguments,
        variants,
    } = read(input, "Reply", "a lookup")?;
    let (mut lookups, mut arms) = (Vec::new(), Vec::new());
    for (index, (name, variant)) in variants.iter().enumerate() {
        let fields: Vec<&Field> = variant.fields.iter().collect();
        let example = format!(
            "the last field must be the answer: `{}(&'a str, Result<Answer<'a>, NoAnswer>)`",
            variant.ident
        );
        let Some((last, tag)) = fields.split_last() else {
            return Err(Error::new_spanned(variant, example));
        };
        let Some(answer) = argument(&last.ty, "Result") else {
            return Err(Error::new_spanned(last, example));
        };
        let datum = names::for_ever(answer);
        let index = index as u16;
        let mut values = take(tag.iter().copied(), &life);
        let span = last.ty.span();
        values.push(quote_spanned!(span=> ::pelton_sdk::derived::answer::<#datum>(answer)));
        let parts: Vec<_> = (0..tag.len()).map(|part| format_ident!("part{part}")).collect();
        let takes = &values[..tag.len()];
        let answer = &values[tag.len()];
        let all = parts.iter().map(ToTokens::to_token_stream).chain([answer.clone()]);
        let built = build(fields.iter().copied(), all);
        let tag: Vec<_> = tag.iter().map(|field| names::for_ever(&field.ty)).collect();
        let tag = match &tag[..] {
            [one] => one.clone(),
            many => quote!((#(#many),*)),
        };
        lookups.push(quote_spanned!(span=> ::pelton_sdk::derived::lookup::<#datum, #tag>(#name)));
        let variant = &variant.ident;
        arms.push(quote! {
            #index => {
                let tag = (move || {
                    let mut tag = tag;
                    let parts = (#(#takes,)*);
                    tag.end()?;
                    ::core::result::Result::Ok(parts)
                })();
                let (#(#parts,)*) = ::pelton_sdk::derived::tag(#name, tag)?;
                ::core::result::Result::Ok(#ident::#variant #built)
            }
        });
    }
    Ok(quote! {
        #[automatically_derived]
        impl<#life> ::pelton_sdk::Replies<#life> for #ident #arguments {
            const LOOKUPS: &'static [::pelton_sdk::derived::Answers] = &[#(#lookups,)*];
            #[inline]
            fn decode(
                source: u16,
                tag: ::pelton_sdk::derived::Parts<#life>,
                answer: ::core::result::Result<&#life [u8], ::pelton_sdk::NoAnswer>,
            ) -> ::core::result::Result<Self, ::pelton_sdk::Reject> {
                match source {
                    #(#arms)*
                    _ => ::pelton_sdk::derived::no_lookup(source),
                }
            }
        }
    })
}
