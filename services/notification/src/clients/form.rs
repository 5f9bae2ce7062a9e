//! Forms (`application/x-www-form-urlencoded`) that providers send.

/// The fields of a form in their original order.
pub type FormFields = Vec<(String, String)>;

/// Returns the first value of a field.
#[must_use]
pub fn form_field<'a>(form: &'a FormFields, name: &str) -> Option<&'a str> {
    let found = form.iter().find(|(key, _)| key == name);
    found.map(|(_, value)| value.as_str())
}

#[must_use]
pub fn parse_form(body: &[u8]) -> FormFields {
    url::form_urlencoded::parse(body).into_owned().collect()
}

#[cfg(test)]
pub(super) fn form(fields: &[(&str, &str)]) -> FormFields {
    let own = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
    fields.iter().map(own).collect()
}
