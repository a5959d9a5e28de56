//! Structs of which a file may lack any field.

/// Defines structs and gives every field the attribute in the first line.
macro_rules! optional_fields {
    (
        #[$field_attribute:meta]
        $(
            $(#[$attribute:meta])*
            pub struct $name:ident {
                $($(#[$meaning:meta])* pub $field:ident: $kind:ty,)*
            }
        )*
    ) => {
        $(
            $(#[$attribute])*
            pub struct $name {
                $($(#[$meaning])* #[$field_attribute] pub $field: $kind,)*
            }
        )*
    };
}
pub(super) use optional_fields;
