"""Real clients, unmodified: `openai`, `webuiapi`, `sd-backend-client`, and the checks of `local-image-gen-security`."""

import base64
import io
import time

import httpx2
import numpy as np
import openai
import pytest
import sd_backend_client
import webuiapi
from ligsp.__main__ import check_server
from ligsp.transport import Transport
from PIL import Image

from http_client import png

EXTRA = {"strength": 0.5, "seed": 7, "steps": 4}


@pytest.fixture
def ai(server):
    return openai.OpenAI(base_url=f"{server.address}/v1", api_key="any")


@pytest.fixture
def image(photo):
    return Image.open(io.BytesIO(photo))


def opened(text):
    return Image.open(io.BytesIO(base64.b64decode(text)))


class TestOpenAI:
    def test_models(self, ai, server):
        (name,) = [model.id for model in ai.models.list()]
        assert ai.models.retrieve(name).id == name
        with pytest.raises(openai.NotFoundError) as told:
            ai.models.retrieve("org/name")
        assert told.value.code == "model_not_found"

    def test_generate(self, ai):
        made = ai.images.generate(prompt="a room", model="gpt-image-1", n=2, size="64x32", extra_body=EXTRA)
        assert [opened(one.b64_json).size for one in made.data] == [(64, 32)] * 2
        assert [one.model_extra["seed"] for one in made.data] == [7, 8] and made.usage.total_tokens == 0

    @pytest.mark.parametrize("several", [False, True])
    def test_edit(self, ai, photo, several):
        named = ("room.png", photo, "image/png")
        image = [named, named] if several else photo
        made = ai.images.edit(image=image, prompt="warm light", size="auto", extra_body=EXTRA, input_fidelity="high")
        assert opened(made.data[0].b64_json).size == (64, 48)

    def test_strength_is_obeyed(self, ai, photo):
        made = ai.images.edit(image=photo, prompt="a", extra_body={"strength": 0})
        assert np.array_equal(np.asarray(opened(made.data[0].b64_json)), np.asarray(Image.open(io.BytesIO(photo))))

    def test_edit_under_a_mask(self, ai, photo):
        clear = np.full((48, 64, 4), 255, np.uint8)
        clear[:, 32:, 3] = 0
        mask = png(Image.fromarray(clear))
        made = ai.images.edit(image=photo, mask=mask, prompt="a", output_format="webp", extra_body={**EXTRA, "n": 1})
        assert opened(made.data[0].b64_json).format == "WEBP"

    def test_variation(self, ai, photo):
        made = ai.images.create_variation(image=photo, n=2, response_format="url", extra_body=EXTRA)
        assert len({one.url for one in made.data}) == 2

    def test_stream(self, ai, photo):
        stream = ai.images.edit(
            image=photo, prompt="a", stream=True, partial_images=3, extra_body={**EXTRA, "steps": 200, "strength": 0.9}
        )
        kinds = [event.type for event in stream]
        assert kinds[-1] == "image_edit.completed" and kinds[0] == "image_edit.partial_image"
        stream = ai.images.generate(prompt="a", stream=True, extra_body=EXTRA)
        assert [event.type for event in stream] == ["image_generation.completed"]

    def test_a_stream_that_is_closed_ends_the_run(self, ai, photo, server):
        stream = ai.images.edit(
            image=photo, prompt="a", stream=True, partial_images=1, extra_body={"steps": 1000, "strength": 1}
        )
        next(iter(stream))
        (job,) = server.service.line.jobs
        stream.close()
        deadline = time.monotonic() + 10
        while job.state != "left" and time.monotonic() < deadline:
            time.sleep(0.02)
        assert job.state == "left"

    def test_errors(self, ai, photo, server, serve, toy_folder, monkeypatch):
        with pytest.raises(openai.BadRequestError, match="strength must be between"):
            ai.images.edit(image=photo, prompt="a", extra_body={"strength": 5})
        with pytest.raises(openai.NotFoundError, match="nothing at this path"):
            ai.post("/images/nothing", cast_to=object, body={})
        with pytest.raises(openai.PermissionDeniedError, match="other servers"):
            ai.with_options(default_headers={"Origin": "http://evil.example"}).images.generate(prompt="a")
        with (
            serve(toy_folder, token="t") as other,
            openai.OpenAI(base_url=f"{other.address}/v1", api_key="wrong") as stranger,
            pytest.raises(openai.AuthenticationError, match="token"),
        ):
            stranger.models.list()

        def broken(job):
            raise ValueError("no")

        monkeypatch.setattr(server.service.line, "_work", broken)
        with pytest.raises(openai.InternalServerError, match="something went wrong"):
            ai.images.generate(prompt="a", extra_body=EXTRA)

    def test_a_full_queue_is_a_rate_limit_which_it_obeys(self, ai, server, monkeypatch):
        line = server.service.line
        monkeypatch.setattr(line, "_size", -1)
        monkeypatch.setattr(line, "_seconds", 1.0)
        with pytest.raises(openai.RateLimitError, match="try again"):
            ai.with_options(max_retries=0).images.generate(prompt="a", extra_body=EXTRA)

        asked = []

        def freed(request):
            asked.append(request.headers["x-stainless-retry-count"])
            if len(asked) == 2:
                line._size = 8

        with httpx2.Client(event_hooks={"request": [freed]}) as http:
            patient = ai.with_options(http_client=http)
            assert patient.images.generate(prompt="a", extra_body=EXTRA).data
        assert asked == ["0", "1"]

    def test_a_short_timeout_is_a_deadline(self, ai, photo):
        made = ai.with_options(timeout=1).images.edit(
            image=photo, prompt="a", extra_body={"steps": 1000, "strength": 1}
        )
        assert made.data


class TestWebUIAPI:
    @pytest.fixture
    def api(self, server):
        return webuiapi.WebUIApi(baseurl=f"{server.address}/sdapi/v1")

    def test_lists(self, api, server):
        (name,) = server.service.models.names
        assert api.util_get_model_names() == [name] and api.util_get_current_model() == name
        assert "Euler a" in api.util_get_sampler_names() and "karras" in api.util_get_scheduler_names()
        api.util_set_model(name)
        api.util_wait_for_ready()
        for ask in (api.get_upscalers, api.get_latent_upscale_modes, api.get_sd_vae, api.get_loras, api.get_embeddings,
                    api.get_hypernetworks, api.get_face_restorers, api.get_realesrgan_models, api.get_prompt_styles,
                    api.get_scripts, api.get_memory, api.get_cmd_flags, api.refresh_checkpoints):  # fmt: skip
            ask()

    def test_pictures(self, api, image):
        made = api.txt2img(prompt="a", seed=3, steps=2, width=64, height=32)
        assert made.image.size == (64, 32) and made.info["seed"] == 3
        made = api.img2img(images=[image], prompt="a", steps=2, width=64, height=48, denoising_strength=0.5)
        assert made.image.size == (64, 48)
        mask = Image.new("L", image.size, 0)
        mask.paste(255, (8, 8, 40, 40))
        made = api.img2img(images=[image], mask_image=mask, prompt="a", steps=2, width=64, height=48)
        assert made.image.size == (64, 48)

    def test_extras(self, api, image):
        assert api.extra_single_image(image, upscaling_resize=2, upscaler_1="Lanczos").image.size == (128, 96)
        assert [one.size for one in api.extra_batch_images([image], upscaling_resize=2).images] == [(128, 96)]
        made = api.txt2img(prompt="a", seed=3, steps=2, width=64, height=32)
        assert api.get_progress()["state"]["job_count"] == 0
        api.interrupt()
        assert made.image


class TestBackendClient:
    @pytest.fixture
    def backend(self, server):
        return sd_backend_client.connect_to_backend(server.address)

    def params(self, **given):
        return sd_backend_client.DiffusionParams(prompt="a", steps=2, width=64, height=48, seed=5, **given)

    def test_it_is_taken_for_what_it_speaks(self, backend):
        assert isinstance(backend, sd_backend_client.A1111Webservice)
        assert backend.get_capabilities()
        assert backend.list_samplers() and backend.list_checkpoints() and backend.list_schedulers()

    def test_pictures(self, backend, image):
        assert backend.submit_txt2img(self.params()).wait(60).images[0].size == (64, 48)
        given = self.params(init_images=[image], denoising_strength=0.5)
        assert backend.submit_img2img(given).wait(60).images[0].size == (64, 48)
        mask = Image.new("L", image.size, 0)
        mask.paste(255, (8, 8, 40, 40))
        given = self.params(init_images=[image], mask=mask, denoising_strength=0.5)
        assert backend.submit_inpaint(given).wait(60).images[0].size == (64, 48)
        assert backend.submit_upscale(image, 128, 96).wait(60).images[0].size == (128, 96)

    def test_cancel(self, backend, image):
        given = sd_backend_client.DiffusionParams(
            prompt="a", steps=1000, width=64, height=48, init_images=[image], denoising_strength=1
        )
        handle = backend.submit_img2img(given)
        deadline = time.monotonic() + 20
        while not backend.progress_check().state.sampling_step and time.monotonic() < deadline:
            time.sleep(0.02)
        assert handle.cancel()


@pytest.mark.parametrize("options", [{}, {"token": "secret"}])
def test_every_check_of_the_security_profile_passes(serve, toy_folder, options):
    with serve(toy_folder, **options) as server:
        target = check_server(Transport(), server.address, [])  # no other address of this machine
        found = {one.id: (one.status, one.title) for one in target.results}
    assert found.pop("NET-1")[0] == "unknown"  # for that it would have to try those
    assert len(found) >= 4 and {status for status, _ in found.values()} == {"pass"}, found
