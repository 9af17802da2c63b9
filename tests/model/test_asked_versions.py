"""Which version of an API a call asked for, and which release answered, is what its spans tell."""


def test_a_call_has_the_version_it_asked_for_and_the_release_that_answered(ask):
    told = ask(
        """
        SELECT callee, api_version, callee_version
        FROM calls
        WHERE kind = 'service'
        ORDER BY start_ns
        """,
        """
        agent root  0..900 service_version=7
          http_client crm  100..200   server_address=crm url_path=/a http_method=GET api_version=2
            http_server /a  110..190 service_name=crm http_method=GET service_version=2.3.0
          http_client crm  300..400   server_address=crm url_path=/b http_method=GET
            http_server /b  310..390 service_name=crm http_method=GET api_version=1
          http_client far  500..600   server_address=far url_path=/c http_method=GET
        """,
    )

    assert told == [
        ("http:crm/a", "2", "2.3.0"),
        ("http:crm/b", "1", None),
        ("http:far/c", None, None),
    ]
