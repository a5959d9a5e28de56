//! Starting the server under test: container, process, attached URL.
