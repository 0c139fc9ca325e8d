from glancecore.testing.extension import ExtensionConformance


class TestTemplate(ExtensionConformance):
    name = "template"
    bodies = {"PUT /template/<image_id>": {"text": "keep until spring"}}

    def work(self, service, image_id):
        answer = service.owner.call(
            "PUT", f"/template/{image_id}", {"text": "keep until spring"}, Content_Type="application/json"
        )
        assert answer.status_code == 200, answer.text
